//! What C lacks to use SlateDB: a handful of blocking `extern "C"` functions over the crate.
//!
//! Contracts stand in `shim.h`. Everything that is not SlateDB itself (options, locking, column
//! families, logging, recreation) is done by the C side. No panic crosses the border: each
//! function catches it and answers `KIND_PANIC`.
//!
//! SPDX-License-Identifier: Apache-2.0

mod block;
mod clone;
mod error;
mod iter;
mod local;
mod open;
mod queue;
mod reader;
mod recent;
mod runtime;
mod scan;
mod seal;
mod store;
mod table;
mod writer;

use std::ffi::{c_char, c_void, CStr};
use std::sync::{Arc, OnceLock};

use bytes::{Bytes, BytesMut};
use slatedb::config::FlushType;
use slatedb::DbSnapshot;

use error::{guard, guard_read, Fail, ShimError, KIND_NOT_FOUND, KIND_OK};
use queue::View;
use reader::Reader;
use recent::Changes;
use runtime::{block_on, release};
use writer::Writer;

/// SlateDB allocates several times for each item that it reads or writes.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Borrowed bytes; `data` may be null when `size` is 0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Slice {
    pub data: *const u8,
    pub size: usize,
}

impl Slice {
    /// # Safety
    /// `data` points to `size` bytes that outlive `'a`, or `size` is 0.
    unsafe fn bytes<'a>(self) -> &'a [u8] {
        if self.size == 0 {
            &[]
        } else {
            std::slice::from_raw_parts(self.data, self.size)
        }
    }
}

/// The layout of weir_backend_value: bytes handed out without a copy; `owner` keeps them alive
/// until `weir_slate_value_release`.
#[repr(C)]
pub struct Value {
    pub data: *const u8,
    pub size: usize,
    pub owner: *mut Bytes,
}

/// The layout of weir_backend_op, so that a batch crosses the border as it is. The column family
/// is part of the key by the time it comes here.
#[repr(C)]
pub struct Op {
    kind: u32,
    reserved: u32,
    cf: *mut c_void,
    key: Slice,
    value: Slice,
}

const OP_PUT: u32 = 1;

/// The one writer of a location, or a reader that changes nothing there.
pub enum Engine {
    Writer(Writer),
    Reader(Box<Reader>),
}

/// A database.
pub struct Handle {
    engine: Engine,
    failed: OnceLock<Fail>,
}

impl Handle {
    fn new(engine: Engine) -> Self {
        Handle {
            engine,
            failed: OnceLock::new(),
        }
    }

    fn failed(&self) -> Option<&Fail> {
        self.failed.get()
    }

    /// What can be read, unless a write has failed: nothing of that may be seen, but SlateDB
    /// holds it in memory already when it turns out that it can't be stored.
    fn engine(&self) -> Result<&Engine, Fail> {
        match self.failed() {
            None => Ok(&self.engine),
            Some(fail) => Err(fail.clone()),
        }
    }

    /// A failure of reading.
    fn explain(&self, fail: impl Into<Fail>) -> Fail {
        match &self.engine {
            Engine::Writer(_) => fail.into(),
            Engine::Reader(reader) => reader.explain(fail.into()),
        }
    }

    fn writer(&self) -> Result<&Writer, Fail> {
        match self.engine()? {
            Engine::Writer(writer) => Ok(writer),
            Engine::Reader(_) => Err(Fail::unsupported("the database is open for reading only")),
        }
    }

    /// Keeps the failure of a write.
    fn fail(&self, fail: &Fail) {
        let _ = self.failed.set(fail.clone());
    }

    /// The writer when SlateDB has all that was written.
    fn settled(&self) -> Result<&Writer, Fail> {
        let writer = self.writer()?;
        writer.recent.finish().inspect_err(|fail| self.fail(fail))?;
        Ok(writer)
    }
}

/// The state at one moment.
pub enum Snapshot {
    Whole(Arc<DbSnapshot>),
    /// For scans of a local database alone.
    View(View),
}

unsafe fn text<'a>(text: *const c_char) -> Result<&'a str, Fail> {
    CStr::from_ptr(text)
        .to_str()
        .map_err(|_| Fail::invalid("a path or an option is not UTF-8"))
}

/// What SlateDB says.
async fn read(db: &Handle, snapshot: Option<&Snapshot>, key: &[u8]) -> Result<Option<Bytes>, Fail> {
    let found = match (snapshot, &db.engine) {
        (Some(Snapshot::Whole(snapshot)), _) => snapshot.get(key).await,
        (Some(Snapshot::View(_)), _) => return Err(Fail::invalid("a view is for scans")),
        (None, Engine::Writer(writer)) => writer.db.get(key).await,
        (None, Engine::Reader(reader)) => reader.db.get(key).await,
    };
    Ok(found?)
}

/// What the shim knows by itself. None: SlateDB is to be asked.
async fn look_up(
    db: &Handle,
    snapshot: Option<&Snapshot>,
    key: &[u8],
) -> Result<Option<Option<Bytes>>, Fail> {
    let (Engine::Writer(writer), None) = (db.engine()?, snapshot) else {
        return Ok(None);
    };
    if let Some(found) = writer.recent.get(key) {
        return Ok(Some(found));
    }
    let Some(tables) = &writer.tables else {
        return Ok(None);
    };
    let Some(version) = tables.version()? else {
        return Ok(None);
    };
    match tables.get(&version, key).await {
        Ok(found) => Ok(Some(found)),
        // Tables that were merged into others are removed some time later; SlateDB reads these.
        Err(_) => Ok(None),
    }
}

/// The newest value of a key.
async fn get(db: &Handle, snapshot: Option<&Snapshot>, key: &[u8]) -> Result<Option<Bytes>, Fail> {
    match look_up(db, snapshot, key).await? {
        Some(found) => Ok(found),
        None => read(db, snapshot, key).await,
    }
}

fn hand_out(value: Bytes) -> Value {
    let (data, size) = (value.as_ptr(), value.len());
    Value {
        data,
        size,
        owner: Box::into_raw(Box::new(value)),
    }
}

/// # Safety
/// See `shim.h`; the same holds for every function below.
#[no_mangle]
pub unsafe extern "C" fn weir_slate_get(
    db: *const Handle,
    snapshot: *const Snapshot,
    key: Slice,
    value: *mut Value,
    error: *mut ShimError,
) -> i32 {
    guard_read(error, || {
        let found = block_on(get(&*db, snapshot.as_ref(), key.bytes()));
        match found.map_err(|fail| (*db).explain(fail))? {
            Some(found) => {
                *value = hand_out(found);
                Ok(KIND_OK)
            }
            None => Ok(KIND_NOT_FOUND),
        }
    })
}

/// Reads several keys: what SlateDB has to fetch from storage is fetched side by side.
#[no_mangle]
pub unsafe extern "C" fn weir_slate_multi_get(
    db: *const Handle,
    snapshot: *const Snapshot,
    keys: *const Slice,
    count: usize,
    values: *mut Value,
    error: *mut ShimError,
) -> i32 {
    guard_read(error, || {
        let snapshot = snapshot.as_ref();
        let mut found = Vec::with_capacity(count);
        let mut unknown = Vec::new();
        for (i, key) in std::slice::from_raw_parts(keys, count).iter().enumerate() {
            let known = block_on(look_up(&*db, snapshot, key.bytes()))?;
            if known.is_none() {
                unknown.push(i);
            }
            found.push(known.flatten());
        }
        let key = |i: &usize| (*keys.add(*i)).bytes();
        let reads = unknown.iter().map(|i| read(&*db, snapshot, key(i)));
        let read =
            block_on(futures::future::try_join_all(reads)).map_err(|fail| (*db).explain(fail))?;
        for (i, value) in unknown.into_iter().zip(read) {
            found[i] = value;
        }
        for (i, value) in found.into_iter().enumerate() {
            if let Some(value) = value {
                *values.add(i) = hand_out(value);
            }
        }
        Ok(KIND_OK)
    })
}

#[no_mangle]
pub unsafe extern "C" fn weir_slate_value_release(owner: *mut Bytes) {
    if !owner.is_null() {
        drop(Box::from_raw(owner));
    }
}

/// All bytes of a batch lie in one piece of memory that its keys and values share.
unsafe fn changes_of(ops: &[Op]) -> Changes {
    let size_of = |op: &Op| op.key.size + if op.kind == OP_PUT { op.value.size } else { 0 };
    let size = ops.iter().map(size_of).sum();
    let mut bytes = BytesMut::with_capacity(size);
    for op in ops {
        bytes.extend_from_slice(op.key.bytes());
        if op.kind == OP_PUT {
            bytes.extend_from_slice(op.value.bytes());
        }
    }
    let mut bytes = bytes.freeze();
    let mut change = |op: &Op| {
        let key = bytes.split_to(op.key.size);
        let value = (op.kind == OP_PUT).then(|| bytes.split_to(op.value.size));
        (key, value)
    };
    Changes {
        rows: ops.iter().map(&mut change).collect(),
        bytes: size,
    }
}

#[no_mangle]
pub unsafe extern "C" fn weir_slate_write(
    db: *const Handle,
    ops: *const Op,
    count: usize,
    durable: bool,
    error: *mut ShimError,
) -> i32 {
    guard(error, || {
        let db = &*db;
        let writer = db.writer()?;
        let changes = changes_of(std::slice::from_raw_parts(ops, count));
        let written = error::catch(|| writer.write(changes, durable));
        written.inspect_err(|fail| db.fail(fail))?;
        Ok(KIND_OK)
    })
}

/// memtable: also writes the memtable to its own tables, so that the next open has no log to replay.
#[no_mangle]
pub unsafe extern "C" fn weir_slate_flush(
    db: *const Handle,
    memtable: bool,
    error: *mut ShimError,
) -> i32 {
    guard(error, || {
        let flush_type = if memtable {
            FlushType::MemTable
        } else {
            FlushType::Wal
        };
        (*db).settled()?.flush(flush_type)?;
        Ok(KIND_OK)
    })
}

/// for_scans: nobody reads keys of it.
#[no_mangle]
pub unsafe extern "C" fn weir_slate_snapshot_open(
    db: *const Handle,
    for_scans: bool,
    snapshot: *mut *mut Snapshot,
    error: *mut ShimError,
) -> i32 {
    guard(error, || {
        let db = &*db;
        let view = match db.writer()? {
            writer if for_scans => writer.view().inspect_err(|fail| db.fail(fail))?,
            _ => None,
        };
        let taken = match view {
            Some(view) => Snapshot::View(view),
            None => Snapshot::Whole(db.settled()?.db.snapshot()?),
        };
        *snapshot = Box::into_raw(Box::new(taken));
        Ok(KIND_OK)
    })
}

#[no_mangle]
pub unsafe extern "C" fn weir_slate_snapshot_close(snapshot: *mut Snapshot) {
    if !snapshot.is_null() {
        release(|| drop(Box::from_raw(snapshot)));
    }
}

/// Calls visit for what the manifest tells.
#[no_mangle]
pub unsafe extern "C" fn weir_slate_stats(
    db: *const Handle,
    visit: extern "C" fn(name: *const c_char, value: u64, arg: *mut c_void),
    arg: *mut c_void,
    error: *mut ShimError,
) -> i32 {
    guard(error, || {
        let manifest = match (*db).engine()? {
            Engine::Writer(writer) => writer.db.manifest(),
            Engine::Reader(reader) => reader.db.manifest(),
        };
        let (mut tables, mut bytes) = (0, 0);
        for table in manifest.all_sst_views() {
            tables += 1;
            bytes += table.estimate_size();
        }
        visit(c"bytes.disk".as_ptr(), bytes, arg);
        visit(c"tables".as_ptr(), tables, arg);
        visit(c"manifest.id".as_ptr(), manifest.id(), arg);
        visit(c"writer.epoch".as_ptr(), manifest.writer_epoch(), arg);
        visit(
            c"log.files".as_ptr(),
            manifest
                .next_wal_sst_id()
                .saturating_sub(manifest.replay_after_wal_id() + 1),
            arg,
        );
        Ok(KIND_OK)
    })
}
