//! The tables of a local database, as point reads and scans see them. SlateDB's own reads pass
//! through a chain of boxed futures and iterators, which costs several times the work itself.
//!
//! SPDX-License-Identifier: Apache-2.0

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use bytes::{Buf, Bytes};
use slatedb::db_cache::DbCache;
use slatedb::filter_policy::{BloomFilterPolicy, Filter, FilterPolicy, FilterQuery};
use slatedb::manifest::{SsTableHandle, SsTableView};
use slatedb::object_store::{ObjectStore, ObjectStoreExt};
use slatedb::{Db, DbStatus, PathResolver, SstFile, SstIndex, SstReader, VersionedManifest};
use tokio::sync::{watch, OnceCell};

use crate::block::{Block, BlockId, Blocks, NoBlocks};
use crate::error::{Fail, KIND_CORRUPTED};
use crate::recent::Recent;

/// A table. Its index and filter stay in memory from the first read on.
pub struct Table {
    pub handle: SsTableHandle,
    file: SstFile,
    index: OnceCell<SstIndex>,
    filter: OnceCell<Option<Arc<dyn Filter>>>,
}

impl Table {
    fn first(&self) -> &[u8] {
        self.handle.info.first_entry.as_deref().unwrap_or_default()
    }

    /// Whether no key of the table is as high as this one.
    fn is_below(&self, key: &[u8]) -> bool {
        let last = self.handle.info.last_entry.as_deref();
        last.is_some_and(|last| last < key)
    }

    pub async fn index(&self) -> Result<&SstIndex, Fail> {
        let read = async { Ok(self.file.index().await?) };
        self.index.get_or_try_init(|| read).await
    }

    /// The first block that may hold a key that `is_before` is not about. A block holds keys from
    /// its first one in the index on, and up to that of the next, which is the same if a key has
    /// more versions than go into a block.
    pub async fn first_block(&self, is_before: impl Fn(&[u8]) -> bool) -> Result<usize, Fail> {
        let behind = self.index().await?.partition_point(is_before);
        Ok(behind.saturating_sub(1))
    }
}

/// The tables at one time.
pub struct Version {
    pub manifest: u64,              // its number
    pub stored: u64,                // the tables hold all batches up to this number
    pub l0: Vec<Arc<Table>>,        // the newest comes first
    pub runs: Vec<Vec<Arc<Table>>>, // of tables whose keys follow each other; the newest run first
    is_plain: bool,                 // nothing of it is known to SlateDB alone
}

impl Version {
    /// Tables that may hold a key, the newest changes first.
    fn holding<'a>(&'a self, key: &'a [u8]) -> impl Iterator<Item = &'a Arc<Table>> {
        let of_run = move |run: &'a Vec<Arc<Table>>| {
            let first = run.partition_point(|table| table.is_below(key));
            run[first..]
                .iter()
                .take_while(move |table| table.first() <= key)
        };
        let touches = move |table: &&Arc<Table>| table.first() <= key && !table.is_below(key);
        self.l0
            .iter()
            .filter(touches)
            .chain(self.runs.iter().flat_map(of_run))
    }
}

/// What reads of a database share.
pub struct Tables {
    reader: SstReader,
    store: Arc<dyn ObjectStore>,
    paths: PathResolver,
    blocks: Arc<Blocks>,
    pub recent: Arc<Recent>,
    current: Mutex<(watch::Receiver<DbStatus>, Arc<Version>)>,
}

impl Tables {
    pub fn new(
        db: &Db,
        path: &str,
        store: Arc<dyn ObjectStore>,
        cache: Arc<dyn DbCache>,
        blocks: Arc<Blocks>,
        recent: Arc<Recent>,
    ) -> Result<Self, Fail> {
        let reader = SstReader::new(path, store.clone(), Some(Arc::new(NoBlocks(cache))), None);
        let mut status = db.subscribe();
        let manifest = status.borrow_and_update().current_manifest.clone();
        let first = version(&reader, &manifest, None)?;
        Ok(Tables {
            reader,
            store,
            paths: PathResolver::new(path, &manifest),
            blocks,
            recent,
            current: Mutex::new((status, Arc::new(first))),
        })
    }

    /// The tables of now. None: SlateDB alone knows all that is there.
    pub fn version(&self) -> Result<Option<Arc<Version>>, Fail> {
        let (status, current) = &mut *self.current.lock().unwrap_or_else(|e| e.into_inner());
        if status.has_changed().unwrap_or(false) {
            let manifest = &status.borrow_and_update().current_manifest;
            if manifest.id() != current.manifest || manifest.last_l0_seq() != current.stored {
                *current = Arc::new(version(&self.reader, manifest, Some(current))?);
            }
        }
        let is_all = current.is_plain && self.recent.is_completed_by(current.stored);
        Ok(is_all.then(|| current.clone()))
    }

    /// The newest change of a key in these tables.
    pub async fn get(&self, version: &Version, key: &[u8]) -> Result<Option<Bytes>, Fail> {
        let query = FilterQuery::point(Bytes::copy_from_slice(key));
        for table in version.holding(key) {
            let filter = match table.filter.get() {
                Some(filter) => filter,
                None => {
                    table
                        .filter
                        .get_or_try_init(|| self.read_filter(table))
                        .await?
                }
            };
            if filter
                .as_ref()
                .is_some_and(|filter| !filter.might_match(&query))
            {
                continue;
            }
            let index = table.index().await?;
            let mut at = table.first_block(|first| first < key).await?;
            while at < index.len() && index.get(at).is_some_and(|(_, first)| first <= key) {
                if let Some(found) = self.block(table, at).await?.get(key) {
                    return Ok(found);
                }
                at += 1;
            }
        }
        Ok(None)
    }

    pub async fn block(&self, table: &Table, number: usize) -> Result<Arc<Block>, Fail> {
        let id: BlockId = (table.file.id().0, number);
        if let Some(block) = self.blocks.get(&id) {
            return Ok(block);
        }
        let block = match self.read_block(table, number).await? {
            Some(block) => block,
            None => Block::new(table.file.read_block(number).await?)?,
        };
        let block = Arc::new(block);
        self.blocks.put(id, block.clone());
        Ok(block)
    }

    /// None: SlateDB's reader is to read it, or to tell why it can't be read.
    async fn read_block(&self, table: &Table, number: usize) -> Result<Option<Block>, Fail> {
        let index = table.index().await?;
        let info = &table.handle.info;
        let behind = match index.get(number + 1) {
            Some((next, _)) => next,
            None if info.filter_len > 0 => info.filter_offset,
            None => info.index_offset,
        };
        let (None, Some((start, _))) = (info.compression_codec, index.get(number)) else {
            return Ok(None);
        };
        let path = self.paths.sst_path(&table.handle.id);
        let read = self.store.get_range(&path, start..behind).await;
        Ok(read.ok().and_then(Block::decode))
    }

    async fn read_filter(&self, table: &Table) -> Result<Option<Arc<dyn Filter>>, Fail> {
        let info = &table.handle.info;
        let is_known = info.filter_format == Default::default() && info.compression_codec.is_none();
        if info.filter_len == 0 || !is_known {
            return Ok(None);
        }
        let path = self.paths.sst_path(&table.handle.id);
        let range = info.filter_offset..info.filter_offset + info.filter_len;
        let bytes = self.store.get_range(&path, range).await?;
        match bloom_filter(bytes) {
            Some(filter) => Ok(filter),
            None => Err(Fail::new(
                KIND_CORRUPTED,
                format!("the filter of {path} is damaged"),
            )),
        }
    }
}

/// The bloom filter among the filters of a table: a number of them, for each the size of its name,
/// the name, the size of its bytes, and these; at the end a checksum. None: it is not that.
fn bloom_filter(mut bytes: Bytes) -> Option<Option<Arc<dyn Filter>>> {
    let mut checksum = bytes.split_off(bytes.len().checked_sub(4)?);
    if checksum.get_u32() != crc32fast::hash(&bytes) {
        return None;
    }
    for _ in 0..bytes.try_get_u16().ok()? {
        let size = bytes.try_get_u16().ok()? as usize;
        let name = (size <= bytes.len()).then(|| bytes.split_to(size))?;
        let size = bytes.try_get_u64().ok()? as usize;
        let data = (size <= bytes.len()).then(|| bytes.split_to(size))?;
        if name == BloomFilterPolicy::NAME && data.len() > 2 {
            // The number of bits for each key is in the data.
            return Some(Some(BloomFilterPolicy::new(0).decode(&data)));
        }
    }
    Some(None)
}

/// Tables that were there before stay the same.
fn version(
    reader: &SstReader,
    manifest: &VersionedManifest,
    before: Option<&Version>,
) -> Result<Version, Fail> {
    let tables = before.into_iter().flat_map(|version| {
        let runs = version.runs.iter().flatten();
        version.l0.iter().chain(runs)
    });
    let known: HashMap<_, _> = tables.map(|table| (table.file.id(), table)).collect();
    let table = |view: &SsTableView| {
        let handle = view.sst.clone();
        let file = reader.open_with_handle(handle.clone())?;
        match known.get(&file.id()) {
            Some(table) => Ok(Arc::clone(table)),
            None => Ok::<_, Fail>(Arc::new(Table {
                handle,
                file,
                index: OnceCell::new(),
                filter: OnceCell::new(),
            })),
        }
    };
    let runs = manifest.compacted().iter();
    let runs = runs.map(|run| run.sst_views().iter().map(table).collect());
    Ok(Version {
        manifest: manifest.id(),
        stored: manifest.last_l0_seq(),
        l0: manifest.l0().iter().map(table).collect::<Result<_, _>>()?,
        runs: runs.collect::<Result<_, _>>()?,
        is_plain: manifest.segments().is_empty()
            && manifest.external_dbs().is_empty()
            && manifest
                .all_sst_views()
                .all(|view| view.visible_range().is_none()),
    })
}
