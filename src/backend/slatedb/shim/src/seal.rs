//! SlateDB's tables carry checksums; its manifests and lists of compactions do not, and one wrong
//! bit there can hide data without a sound. This object store puts a seal behind them and checks
//! it when they are read. What reads them without knowing of seals finds its data where it was:
//! the seal comes after all that the format points to. docs/slatedb.md has the bytes. A table that
//! is shorter than what points into it is damage too, and no trouble of the network.
//!
//! A file of the log that is empty, or nearly so, is to SlateDB the fence of a writer, and no trace of
//! one that was cut. So fences are not empty here: they hold the seal's last bytes.
//!
//! Manifests and lists begin with the number of their format. One that this SlateDB does not know, under a seal
//! that is whole, was written by a newer one.
//!
//! SPDX-License-Identifier: Apache-2.0

use std::fmt;
use std::future::Future;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::stream::BoxStream;
use futures::StreamExt;
use slatedb::object_store::path::Path;
use slatedb::object_store::{
    CopyOptions, Error, GetOptions, GetRange, GetResult, GetResultPayload, ListResult,
    MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions, PutPayload,
    PutResult, RenameOptions, Result,
};
use slatedb_common::retry::NonRetryable;

const MAGIC: &[u8; 8] = b"weirseal";
const SEAL_SIZE: usize = MAGIC.len() + 4;
const VERSION_SIZE: usize = 2;

/// Bytes that can't be right.
#[derive(Debug)]
pub struct Damaged(String);

impl fmt::Display for Damaged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Damaged {}

/// Bytes of a format that is newer than this SlateDB.
#[derive(Debug)]
pub struct Newer(String);

impl fmt::Display for Newer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Newer {}

fn refused(why: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Generic {
        store: "sealed",
        source: Box::new(NonRetryable(Box::new(why))),
    }
}

fn damaged(what: String) -> Error {
    refused(Damaged(what))
}

#[derive(Debug)]
pub struct Sealing {
    pub store: Arc<dyn ObjectStore>,
    /// A request that failed sooner may be tried again as a whole: the store's own client does not
    /// repeat a write when its connection breaks. One that took longer was repeated for long enough.
    pub patience: Duration,
}

impl fmt::Display for Sealing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.store.fmt(f)
    }
}

fn has_seal(location: &Path) -> bool {
    newest_version(location).is_some()
}

/// The newest format of such an object that SlateDB 0.18 reads.
fn newest_version(location: &Path) -> Option<u16> {
    match location.extension() {
        Some("manifest") => Some(2),
        Some("compactions") => Some(2),
        _ => None,
    }
}

fn seal(payload: PutPayload) -> PutPayload {
    let mut bytes = BytesMut::with_capacity(payload.content_length() + SEAL_SIZE);
    for part in payload.iter() {
        bytes.extend_from_slice(part);
    }
    let checksum = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&checksum.to_be_bytes());
    bytes.extend_from_slice(MAGIC);
    bytes.freeze().into()
}

/// SlateDB takes a file of the log of so many bytes for a fence. docs/slatedb.md
const FENCE_MAX: u64 = 10;

fn is_log(location: &Path) -> bool {
    location.extension() == Some("sst")
        && location
            .parts()
            .rev()
            .nth(1)
            .is_some_and(|folder| folder.as_ref() == "wal")
}

/// The bytes before the seal. An object that has none was written by other tools, or is cut.
fn unseal(location: &Path, bytes: Bytes) -> Result<Bytes> {
    let sealed = bytes
        .len()
        .checked_sub(SEAL_SIZE)
        .filter(|size| &bytes[size + 4..] == MAGIC);
    let size = sealed.unwrap_or(bytes.len());
    if sealed.is_some() && bytes[size..size + 4] != crc32fast::hash(&bytes[..size]).to_be_bytes() {
        return Err(damaged(format!("the checksum of {location} is wrong")));
    }
    if size < VERSION_SIZE {
        return Err(damaged(format!("{location} has {size} bytes")));
    }
    let version = u16::from_be_bytes([bytes[0], bytes[1]]);
    match newest_version(location) {
        Some(newest) if sealed.is_some() && version > newest => Err(refused(Newer(format!(
            "{location} has format {version}, and this SlateDB knows {newest}"
        )))),
        _ => Ok(bytes.slice(..size)),
    }
}

/// The last two bytes of a table or a file of the log: the number of its format, which no checksum
/// covers.
const NEWEST_TABLE: u16 = 2; // that SlateDB 0.18 reads
/// More than so many formats ahead, it is damage.
const AHEAD: u16 = 14;

/// All but the bytes, which have one reader.
fn told_of(result: &GetResult) -> GetResult {
    GetResult {
        range: result.range.clone(),
        payload: GetResultPayload::Stream(futures::stream::empty().boxed()),
        meta: result.meta.clone(),
        attributes: result.attributes.clone(),
        extensions: result.extensions.clone(),
    }
}

fn with_bytes(told: GetResult, bytes: Bytes) -> GetResult {
    let payload = GetResultPayload::Stream(futures::stream::once(async move { Ok(bytes) }).boxed());
    GetResult { payload, ..told }
}

/// The end of a table.
async fn check_format(location: &Path, result: GetResult) -> Result<GetResult> {
    let told = told_of(&result);
    let bytes = result.bytes().await?;
    let version = bytes
        .last_chunk::<2>()
        .map_or(0, |v| u16::from_be_bytes(*v));
    if version > NEWEST_TABLE && version <= NEWEST_TABLE + AHEAD {
        return Err(refused(Newer(format!(
            "{location} has format {version}, and this SlateDB knows {NEWEST_TABLE}"
        ))));
    }
    Ok(with_bytes(told, bytes))
}

impl Sealing {
    async fn with_patience<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let began = Instant::now();
        work.await.map_err(|error| match error {
            Error::Generic { store, source } if began.elapsed() >= self.patience => {
                let source = Box::new(NonRetryable(source));
                Error::Generic { store, source }
            }
            Error::PermissionDenied { path, source } => {
                let source = Box::new(NonRetryable(source));
                Error::PermissionDenied { path, source }
            }
            Error::Unauthenticated { path, source } => {
                let source = Box::new(NonRetryable(source));
                Error::Unauthenticated { path, source }
            }
            error => error,
        })
    }

    async fn check_fence(&self, location: &Path) -> Result<()> {
        let got = self.with_patience(self.store.get_opts(location, GetOptions::default()));
        let bytes = got.await?.bytes().await?;
        if bytes.as_ref() != MAGIC {
            return Err(damaged(format!(
                "{location} has {} bytes and is no fence of a writer",
                bytes.len()
            )));
        }
        Ok(())
    }

    /// A range that can't be read although the object can: the object is too short.
    async fn explain(&self, location: &Path, range: GetRange, error: Error) -> Error {
        let start = match range {
            GetRange::Bounded(range) => range.start,
            GetRange::Offset(start) => start,
            GetRange::Suffix(_) => return error,
        };
        let head = GetOptions {
            head: true,
            ..GetOptions::default()
        };
        match self.store.get_opts(location, head).await {
            Ok(found) if found.meta.size <= start => damaged(format!(
                "{location} has {} bytes, but some at {start} are needed",
                found.meta.size
            )),
            _ => error,
        }
    }
}

#[async_trait]
impl ObjectStore for Sealing {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> Result<PutResult> {
        let payload = if has_seal(location) {
            seal(payload)
        } else if is_log(location) && payload.content_length() == 0 {
            PutPayload::from_static(MAGIC)
        } else {
            payload
        };
        self.with_patience(self.store.put_opts(location, payload, opts))
            .await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.with_patience(self.store.put_multipart_opts(location, opts))
            .await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let is_whole = options.range.is_none() && !options.head;
        let is_head = options.head;
        let range = options.range.clone();
        let got = self.with_patience(self.store.get_opts(location, options));
        let result = match (got.await, range) {
            (Err(error @ Error::Generic { .. }), Some(range)) => {
                return Err(self.explain(location, range, error).await)
            }
            (result, _) => result?,
        };
        if is_head && is_log(location) && result.meta.size <= FENCE_MAX {
            self.check_fence(location).await?;
        }
        let is_end = !is_head && result.range.end == result.meta.size;
        if is_end && location.extension() == Some("sst") {
            return check_format(location, result).await;
        }
        if !is_whole || !has_seal(location) {
            return Ok(result);
        }
        let mut told = told_of(&result);
        let bytes = unseal(location, result.bytes().await?)?;
        told.meta.size = bytes.len() as u64;
        told.range = 0..told.meta.size;
        Ok(with_bytes(told, bytes))
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let got = self.with_patience(self.store.get_ranges(location, ranges));
        match got.await {
            Err(error @ Error::Generic { .. }) => {
                let last = ranges.iter().max_by_key(|range| range.start).cloned();
                let range = GetRange::Bounded(last.unwrap_or_default());
                Err(self.explain(location, range, error).await)
            }
            result => result,
        }
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.store.delete_stream(locations)
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
