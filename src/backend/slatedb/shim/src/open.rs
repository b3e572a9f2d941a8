//! Opening, closing, destroying and copying databases.
//!
//! SPDX-License-Identifier: Apache-2.0

use std::collections::HashMap;
use std::ffi::{c_char, c_void, CString};
use std::future::Future;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use slatedb::config::{
    CloseOptions, CompactionWorkerOptions, CompactorOptions, CompressionCodec, DbReaderOptions,
    FlushOptions, FlushType, GarbageCollectorDirectoryOptions, GarbageCollectorOptions,
    ObjectStoreCacheOptions, Settings,
};
use slatedb::db_cache::foyer::{FoyerCache, FoyerCacheOptions};
use slatedb::db_cache::DbCache;
use slatedb::object_store;
use slatedb::object_store::path::Path;
use slatedb::object_store::{ObjectStore, ObjectStoreExt};
use slatedb::{BlockCachePolicy, CacheTarget, Db, DbReader, DbReaderMode, WriteBatch};

use crate::block::Blocks;
use crate::clone;
use crate::error::{
    catch, guard, Fail, ShimError, KIND_CORRUPTED, KIND_INVALID, KIND_NOT_FOUND, KIND_OK,
    KIND_PANIC, KIND_PERMISSION, KIND_TIMEOUT,
};
use crate::reader::{Reader, Still};
use crate::recent::Recent;
use crate::runtime::{block_on, release};
use crate::store::resolve;
use crate::table::Tables;
use crate::writer::{Limits, Writer};
use crate::{text, Engine, Handle};

/// What C passes; units and meaning in `shim.h`.
#[repr(C)]
pub struct Config {
    pub folder: *const c_char,
    pub store_url: *const c_char,
    pub path: *const c_char,
    create: bool,
    read_only: bool,
    pub use_fsync: bool,
    flush_interval_ms: u64,
    memtable_bytes: u64,
    max_unflushed_bytes: u64,
    block_cache_bytes: u64,
    disk_cache_dir: *const c_char,
    disk_cache_bytes: u64,
    manifest_poll_ms: u64,
    garbage_age_ms: u64,
    pub retry_timeout_ms: u64,
    open_timeout_ms: u64,
    pub max_retries: u32,
    min_filter_keys: u32,
    max_log_files: u32,
    compression: *const c_char,
}

/// One cache for each capacity, shared by all databases of the process: SlateDB's own, and the
/// blocks of local databases, of which SlateDB's holds few then.
fn shared_cache(bytes: u64) -> (Arc<dyn DbCache>, Arc<Blocks>) {
    type Caches = Mutex<HashMap<u64, (Arc<dyn DbCache>, Arc<Blocks>)>>;
    static CACHES: OnceLock<Caches> = OnceLock::new();
    let caches = CACHES.get_or_init(Default::default);
    let mut caches = caches.lock().unwrap_or_else(|e| e.into_inner());
    caches
        .entry(bytes)
        .or_insert_with(|| {
            let options = FoyerCacheOptions {
                max_capacity: bytes,
                ..FoyerCacheOptions::default()
            };
            let cache = Arc::new(FoyerCache::new_with_opts(options));
            (cache, Arc::new(Blocks::new(bytes)))
        })
        .clone()
}

/// Only tables are cached, and no two of them have the same name, wherever they are.
const CACHE_ID: u64 = 0; // that of SlateDB's reader of tables

impl Config {
    fn retry_timeout(&self) -> Duration {
        Duration::from_millis(self.retry_timeout_ms)
    }

    unsafe fn disk_cache(&self) -> Result<ObjectStoreCacheOptions, Fail> {
        let mut options = ObjectStoreCacheOptions::default();
        if !self.disk_cache_dir.is_null() {
            options.root_folder = Some(PathBuf::from(text(self.disk_cache_dir)?));
            options.max_cache_size_bytes = Some(self.disk_cache_bytes as usize);
            options.cache_on_flush = true;
            options.cache_on_compaction = true;
        }
        Ok(options)
    }

    /// What SlateDB tries again, besides the object store's own client: see `Sealing`.
    fn retries(&self) -> Option<u32> {
        Some(if self.folder.is_null() {
            self.max_retries
        } else {
            1
        })
    }

    /// How long what the compactor has replaced stays, for those who read it.
    fn garbage_age(&self) -> Duration {
        Duration::from_millis(self.garbage_age_ms)
    }

    /// In the proportions of SlateDB's defaults.
    fn garbage(&self) -> GarbageCollectorOptions {
        let files = Some(GarbageCollectorDirectoryOptions {
            interval: Some(self.garbage_age() * 2 / 3),
            min_age: self.garbage_age() / 3,
            ..GarbageCollectorDirectoryOptions::default()
        });
        GarbageCollectorOptions {
            manifest_options: files,
            wal_options: files,
            compacted_options: files,
            compactions_options: files,
            // A local folder has no conditional overwriting, and a lock instead.
            boundary_files_enabled: self.folder.is_null(),
            object_store_max_retries: self.retries(),
            ..GarbageCollectorOptions::default()
        }
    }

    unsafe fn settings(&self) -> Result<Settings, Fail> {
        let compression_codec = match text(self.compression)? {
            "none" => None,
            name => Some(name.parse::<CompressionCodec>()?),
        };
        let manifest_update_timeout = 2 * self.retry_timeout();
        Ok(Settings {
            flush_interval: (self.flush_interval_ms > 0)
                .then(|| Duration::from_millis(self.flush_interval_ms)),
            l0_sst_size_bytes: self.memtable_bytes as usize,
            max_unflushed_bytes: self.max_unflushed_bytes as usize,
            manifest_poll_interval: Duration::from_millis(self.manifest_poll_ms),
            manifest_update_timeout,
            min_filter_keys: self.min_filter_keys,
            object_store_max_retries: self.retries(),
            object_store_cache_options: self.disk_cache()?,
            garbage_collector_options: Some(self.garbage()),
            compression_codec,
            compactor_options: Some(CompactorOptions {
                // Writes wait while there are too many small tables.
                poll_interval: Duration::from_millis(self.manifest_poll_ms),
                manifest_update_timeout,
                checkpoint_lifetime: self.garbage_age(),
                object_store_max_retries: self.retries(),
                worker: Some(CompactionWorkerOptions {
                    compactions_poll_interval: Duration::from_millis(self.manifest_poll_ms),
                    min_filter_keys: self.min_filter_keys,
                    compression_codec,
                    object_store_max_retries: self.retries(),
                    ..CompactionWorkerOptions::default()
                }),
                ..CompactorOptions::default()
            }),
            ..Settings::default()
        })
    }

    /// Local tables are read block by block. On object storage SlateDB's own iterator reads many
    /// blocks with one request.
    fn tables(
        &self,
        db: &Db,
        path: &str,
        store: Arc<dyn ObjectStore>,
        recent: &Arc<Recent>,
    ) -> Result<Option<Arc<Tables>>, Fail> {
        if self.folder.is_null() {
            return Ok(None);
        }
        let (cache, blocks) = shared_cache(self.block_cache_bytes);
        let tables = Tables::new(db, path, store, cache, blocks, recent.clone())?;
        Ok(Some(Arc::new(tables)))
    }

    /// What SlateDB's cache gets of a table that is written.
    fn cache_policy(&self) -> BlockCachePolicy {
        let policy = BlockCachePolicy::default();
        if self.folder.is_null() {
            policy
        } else {
            policy
                .with_flush_targets(&[CacheTarget::Index])
                .with_compaction_output_targets(&[CacheTarget::Index])
        }
    }

    pub async fn limited<T>(
        &self,
        what: &str,
        work: impl Future<Output = Result<T, Fail>>,
    ) -> Result<T, Fail> {
        let limit = Duration::from_millis(self.open_timeout_ms);
        match tokio::time::timeout(limit, work).await {
            Ok(result) => result,
            Err(_) => Err(Fail::new(
                KIND_TIMEOUT,
                format!("{what} took longer than {} s", limit.as_secs_f64()),
            )),
        }
    }
}

/// Why an object store can't be listed, which its client does not tell by type. So it is asked for
/// an object: where it answers that it has none, there is nothing to list. The bucket is missing,
/// which is the user's mistake.
async fn explain(store: &Arc<dyn ObjectStore>, path: &str, error: object_store::Error) -> Fail {
    let probe = Path::from(format!("{path}/manifest"));
    let asked = match &error {
        object_store::Error::Generic { .. } => store.head(&probe).await.err(),
        _ => None,
    };
    let is_missing = [Some(&error), asked.as_ref()]
        .iter()
        .any(|told| matches!(told, Some(object_store::Error::NotFound { .. })));
    let fail = Fail::from(error);
    if is_missing {
        return fail
            .with_kind(KIND_INVALID)
            .within("the bucket or container does not exist or may not be listed");
    }
    match asked.map(Fail::from) {
        Some(asked) if asked.kind() == KIND_PERMISSION => fail.with_kind(KIND_PERMISSION),
        _ => fail,
    }
}

/// Whether there is a database. Data without any manifest is damage.
pub async fn exists(store: &Arc<dyn ObjectStore>, path: &str) -> Result<bool, Fail> {
    let manifests = Path::from(format!("{path}/manifest"));
    if let Some(found) = store.list(Some(&manifests)).next().await {
        return match found {
            Ok(_) => Ok(true),
            Err(error) => Err(explain(store, path, error).await),
        };
    }
    match store.list(Some(&Path::from(path))).next().await {
        None => Ok(false),
        Some(Err(error)) => Err(explain(store, path, error).await),
        Some(Ok(object)) => Err(Fail::new(
            KIND_CORRUPTED,
            format!("there is {} but no manifest", object.location),
        )),
    }
}

async fn open_reader(
    config: &Config,
    path: &str,
    store: Arc<dyn ObjectStore>,
    disk_cache: ObjectStoreCacheOptions,
) -> Result<Engine, Fail> {
    let options = DbReaderOptions {
        object_store_max_retries: config.retries(),
        object_store_cache_options: disk_cache,
        ..DbReaderOptions::default()
    };
    let reader = DbReader::builder(path, store.clone())
        .with_reader_mode(DbReaderMode::FollowLatest)
        .with_system_clock(Arc::new(Still::new()))
        .with_options(options)
        .with_db_cache(shared_cache(config.block_cache_bytes).0, CACHE_ID)
        .build()
        .await?;
    Ok(Engine::Reader(Box::new(Reader::new(reader, path, store))))
}

async fn open_db(
    config: &Config,
    path: &str,
    store: Arc<dyn ObjectStore>,
    settings: Settings,
) -> Result<Db, Fail> {
    Ok(Db::builder(path, store)
        .with_settings(settings)
        .with_db_cache(shared_cache(config.block_cache_bytes).0, CACHE_ID)
        .with_block_cache_policy(config.cache_policy())
        .build()
        .await?)
}

fn writer(
    config: &Config,
    db: Db,
    path: &str,
    store: Arc<dyn ObjectStore>,
) -> Result<Writer, Fail> {
    let recent = Arc::new(Recent::new(&db)?);
    let tables = config.tables(&db, path, store, &recent)?;
    let limits = Limits {
        log_files: config.max_log_files,
        recent_bytes: (2 * config.memtable_bytes).min(config.max_unflushed_bytes) as usize,
        max_bytes: config.max_unflushed_bytes as usize,
    };
    Ok(Writer::new(db, recent, tables, limits))
}

unsafe fn open(config: &Config) -> Result<Handle, Fail> {
    let path = text(config.path)?;
    let store = resolve(config)?;
    let is_there = block_on(config.limited("looking for the database", exists(&store, path)))?;
    if !is_there && (!config.create || config.read_only) {
        return Err(Fail::new(KIND_NOT_FOUND, "there is no SlateDB database"));
    }
    // A panic while stored bytes are read for the first time is about these bytes.
    let opened = catch(|| {
        if config.read_only {
            let disk_cache = config.disk_cache()?;
            let work = open_reader(config, path, store.clone(), disk_cache);
            block_on(config.limited("opening", work))
        } else {
            let work = open_db(config, path, store.clone(), config.settings()?);
            let db = block_on(config.limited("opening", work))?;
            let made = writer(config, db.clone(), path, store).inspect_err(|_| {
                let _ = block_on(db.close_with_options(CloseOptions { flush_type: None }));
            });
            Ok(Engine::Writer(made?))
        }
    });
    match opened {
        Ok(engine) => Ok(Handle::new(engine)),
        Err(fail) if is_there && fail.kind() == KIND_PANIC => Err(fail.with_kind(KIND_CORRUPTED)),
        Err(fail) => Err(fail),
    }
}

/// # Safety
/// See `shim.h`; the same holds for every function below.
#[no_mangle]
pub unsafe extern "C" fn weir_slate_open(
    config: *const Config,
    db: *mut *mut Handle,
    error: *mut ShimError,
) -> i32 {
    guard(error, || {
        *db = Box::into_raw(Box::new(open(&*config)?));
        Ok(KIND_OK)
    })
}

fn close(handle: &Handle) -> Result<(), Fail> {
    match &handle.engine {
        Engine::Reader(reader) => Ok(block_on(reader.db.close())?),
        Engine::Writer(writer) => writer.close(handle.failed().cloned()),
    }
}

/// Flushes and closes; the handle is gone in any case.
#[no_mangle]
pub unsafe extern "C" fn weir_slate_close(db: *mut Handle, error: *mut ShimError) -> i32 {
    guard(error, || {
        let handle = Box::from_raw(db);
        let closed = catch(|| close(&handle));
        release(|| drop(handle));
        closed.map(|()| KIND_OK)
    })
}

/// Deletes all objects of the database; none there is fine.
#[no_mangle]
pub unsafe extern "C" fn weir_slate_destroy(config: *const Config, error: *mut ShimError) -> i32 {
    guard(error, || {
        let config = &*config;
        let store = resolve(config)?;
        let path = text(config.path)?;
        let prefix = Path::from(path);
        block_on(async {
            match exists(&store, path).await {
                Ok(true) => {
                    let work = clone::release(path, &store);
                    config.limited("looking for clones", work).await?
                }
                Ok(false) => {}
                Err(fail) if fail.kind() == KIND_CORRUPTED => {}
                Err(fail) => return Err(fail),
            }
            let found = store.list(Some(&prefix)).map(|o| o.map(|o| o.location));
            let mut deleted = store.delete_stream(found.boxed());
            while let Some(result) = deleted.next().await {
                match result {
                    Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
                    Err(error) => return Err(Fail::from(error)),
                }
            }
            Ok(())
        })?;
        Ok(KIND_OK)
    })
}

/// The folders of the name `name` at or below `root`. What is in one is not looked at.
async fn find(store: &Arc<dyn ObjectStore>, root: Path, name: &str) -> Result<Vec<Path>, Fail> {
    let mut found = Vec::new();
    let mut folders = vec![root];
    while let Some(folder) = folders.pop() {
        let inside = match store.list_with_delimiter(Some(&folder)).await {
            Ok(inside) => inside,
            Err(error) => return Err(explain(store, folder.as_ref(), error).await),
        };
        let database = folder.clone().join(name);
        if inside.common_prefixes.contains(&database) {
            found.push(database);
        } else {
            folders.extend(inside.common_prefixes);
        }
    }
    Ok(found)
}

/// Tells where databases are.
#[no_mangle]
pub unsafe extern "C" fn weir_slate_list(
    config: *const Config,
    visit: extern "C" fn(path: *const c_char, arg: *mut c_void),
    arg: *mut c_void,
    error: *mut ShimError,
) -> i32 {
    guard(error, || {
        let config = &*config;
        let store = resolve(config)?;
        let (root, name) = text(config.path)?.rsplit_once('/').unwrap_or_default();
        let work = find(&store, Path::from(root), name);
        for path in block_on(config.limited("listing databases", work))? {
            let path = CString::new(path.as_ref()).unwrap_or_default();
            visit(path.as_ptr(), arg);
        }
        Ok(KIND_OK)
    })
}

const COPY_BATCH_BYTES: usize = 4 * 1024 * 1024;

async fn copy(source: &Db, target: &Db) -> Result<(), Fail> {
    let snapshot = source.snapshot()?;
    let mut items = snapshot.scan::<std::ops::RangeFull>(..).await?;
    let mut batch = WriteBatch::new();
    let mut bytes = 0;
    while let Some(item) = items.next().await? {
        bytes += item.key.len() + item.value.len();
        batch.put_bytes(
            Bytes::copy_from_slice(&item.key),
            Bytes::copy_from_slice(&item.value),
        );
        if bytes >= COPY_BATCH_BYTES {
            target.write(std::mem::take(&mut batch)).await?;
            bytes = 0;
        }
    }
    if bytes > 0 {
        target.write(batch).await?;
    }
    let flush_type = FlushType::MemTable;
    Ok(target
        .flush_with_options(FlushOptions { flush_type })
        .await?)
}

/// A new database that holds what `db` holds now, and shares nothing with it.
#[no_mangle]
pub unsafe extern "C" fn weir_slate_copy(
    db: *const Handle,
    target: *const Config,
    error: *mut ShimError,
) -> i32 {
    guard(error, || {
        let source = (*db).settled()?;
        let target = open(&*target)?;
        let copied = catch(|| block_on(copy(&source.db, &target.writer()?.db)));
        let closed = catch(|| close(&target));
        release(|| drop(target));
        copied.and(closed).map(|()| KIND_OK)
    })
}
