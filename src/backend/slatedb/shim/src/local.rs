//! Short reads of tables in a local folder, on the thread that needs them. The object store for
//! files opens one for each read, and does that in another thread, which costs many times what
//! reading from the system's memory takes.
//!
//! SPDX-License-Identifier: Apache-2.0

use std::fmt;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use foldhash::fast::RandomState;
use futures::stream::BoxStream;
use futures::StreamExt;
use lru::LruCache;
use slatedb::object_store::local::LocalFileSystem;
use slatedb::object_store::path::Path;
use slatedb::object_store::{
    CopyOptions, GetOptions, GetRange, GetResult, GetResultPayload, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions,
    Result,
};

/// Tables that are kept open.
const OPEN_FILES: usize = 64;
/// Longer reads are not worth holding a thread of the runtime for.
const SHORT: u64 = 64 * 1024;

type Files = Arc<Mutex<LruCache<Path, Arc<Table>, RandomState>>>;

/// A table never changes.
struct Table {
    file: File,
    meta: ObjectMeta,
}

pub struct Local {
    store: LocalFileSystem,
    files: Files,
}

impl Local {
    pub fn new(store: LocalFileSystem) -> Self {
        let size = OPEN_FILES.try_into().expect("not 0");
        let files = LruCache::with_hasher(size, RandomState::default());
        Local {
            store,
            files: Arc::new(Mutex::new(files)),
        }
    }

    fn open(&self, location: &Path) -> Option<Arc<Table>> {
        let mut files = self.files.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(table) = files.get(location) {
            return Some(table.clone());
        }
        let file = File::open(self.store.path_to_filesystem(location).ok()?).ok()?;
        let metadata = file.metadata().ok()?;
        let table = Arc::new(Table {
            file,
            meta: ObjectMeta {
                location: location.clone(),
                last_modified: metadata.modified().ok()?.into(),
                size: metadata.len(),
                e_tag: None,
                version: None,
            },
        });
        files.put(location.clone(), table.clone());
        Some(table)
    }

    /// None: not a short read of a table, or one that fails, which the object store explains.
    fn read(&self, location: &Path, options: &GetOptions) -> Option<GetResult> {
        let Some(GetRange::Bounded(range)) = &options.range else {
            return None;
        };
        let size = range
            .end
            .checked_sub(range.start)
            .filter(|size| *size <= SHORT)?;
        let is_plain = !options.head
            && options.if_match.is_none()
            && options.if_none_match.is_none()
            && options.if_modified_since.is_none()
            && options.if_unmodified_since.is_none();
        if !is_plain || location.extension() != Some("sst") {
            return None;
        }
        let table = self.open(location)?;
        let mut bytes = vec![0; size as usize];
        table.file.read_exact_at(&mut bytes, range.start).ok()?;
        let bytes = Bytes::from(bytes);
        Some(GetResult {
            payload: GetResultPayload::Stream(
                futures::stream::once(async move { Ok(bytes) }).boxed(),
            ),
            meta: table.meta.clone(),
            range: range.clone(),
            attributes: Default::default(),
            extensions: Default::default(),
        })
    }
}

fn close(files: &Files, location: &Path) {
    let mut files = files.lock().unwrap_or_else(|e| e.into_inner());
    files.pop(location);
}

impl fmt::Debug for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.store.fmt(f)
    }
}

impl fmt::Display for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.store, f)
    }
}

#[async_trait]
impl ObjectStore for Local {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> Result<PutResult> {
        close(&self.files, location);
        self.store.put_opts(location, payload, opts).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.store.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        match self.read(location, &options) {
            Some(result) => Ok(result),
            None => self.store.get_opts(location, options).await,
        }
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.store.get_ranges(location, ranges).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let files = self.files.clone();
        let close = move |location: &Result<Path>| {
            if let Ok(location) = location {
                close(&files, location);
            }
        };
        self.store.delete_stream(locations.inspect(close).boxed())
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.store.list(prefix)
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        self.store.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.store.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.store.copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.store.rename_opts(from, to, options).await
    }
}
