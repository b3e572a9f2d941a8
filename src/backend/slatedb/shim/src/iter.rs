//! Iterators hand over blocks of items, so that the runtime is entered once for many.
//!
//! A block is one buffer: for each item the sizes of key and value (4 bytes each, native order)
//! and their bytes.
//!
//! SPDX-License-Identifier: Apache-2.0

use std::ops::Bound;

use slatedb::config::ScanOptions;
use slatedb::{DbIterator, IterationOrder};

use crate::error::{guard_read, Fail, ShimError, KIND_IO, KIND_NOT_FOUND, KIND_OK};
use crate::runtime::{block_on, release};
use crate::scan::Scan;
use crate::writer::Writer;
use crate::{Engine, Handle, Slice, Snapshot};

const FIRST_BLOCK_ITEMS: usize = 4;
const BLOCK_ITEMS: usize = 1024;
const BLOCK_BYTES: usize = 256 * 1024;
const READ_AHEAD_BYTES: usize = 64 * 1024;

/// Of a database on object storage or one that is read alone; of a local one.
enum Items {
    Slate(Box<DbIterator>),
    Merged(Box<Scan>),
}

pub struct Iter {
    db: *const Handle,
    inner: Items,
    block: Vec<u8>,
    items: usize,
    ended: bool,
}

/// Lower inclusive, upper exclusive.
#[repr(C)]
pub struct Range {
    lower: Slice,
    upper: Slice,
    has_lower: bool,
    has_upper: bool,
    reverse: bool,
}

async fn scan(db: &Handle, snapshot: Option<&Snapshot>, range: &Range) -> Result<Items, Fail> {
    let bound = |has: bool, of: fn(&'static [u8]) -> Bound<&'static [u8]>, slice: Slice| {
        if has {
            of(unsafe { slice.bytes() })
        } else {
            Bound::Unbounded
        }
    };
    let bounds = (
        bound(range.has_lower, Bound::Included, range.lower),
        bound(range.has_upper, Bound::Excluded, range.upper),
    );
    let engine = db.engine()?;
    if let (
        Some(snapshot),
        Engine::Writer(Writer {
            tables: Some(tables),
            ..
        }),
    ) = (snapshot, engine)
    {
        let number = match snapshot {
            Snapshot::Whole(snapshot) => snapshot.seq(),
            Snapshot::View(view) => view.number,
        };
        if let Some(scan) = Scan::open(tables, number, bounds, range.reverse)? {
            return Ok(Items::Merged(Box::new(scan)));
        }
    }
    let order = if range.reverse {
        IterationOrder::Descending
    } else {
        IterationOrder::Ascending
    };
    let options = ScanOptions {
        order,
        cache_blocks: true,
        read_ahead_bytes: READ_AHEAD_BYTES,
        ..ScanOptions::default()
    };
    let items = match (snapshot, engine) {
        (Some(Snapshot::Whole(snapshot)), _) => {
            snapshot.scan_with_options(bounds, &options).await?
        }
        // Tables that scans could read are not lost to them.
        (Some(Snapshot::View(_)), _) => return Err(Fail::new(KIND_IO, "the tables of a view")),
        (None, Engine::Writer(writer)) => writer.db.scan_with_options(bounds, &options).await?,
        (None, Engine::Reader(reader)) => reader.db.scan_with_options(bounds, &options).await?,
    };
    Ok(Items::Slate(Box::new(items)))
}

/// # Safety
/// See `shim.h`; the same holds for every function below.
#[no_mangle]
pub unsafe extern "C" fn weir_slate_iter_open(
    db: *const Handle,
    snapshot: *const Snapshot,
    range: *const Range,
    iter: *mut *mut Iter,
    error: *mut ShimError,
) -> i32 {
    guard_read(error, || {
        let inner =
            block_on(scan(&*db, snapshot.as_ref(), &*range)).map_err(|fail| (*db).explain(fail))?;
        *iter = Box::into_raw(Box::new(Iter {
            db,
            inner,
            block: Vec::new(),
            items: FIRST_BLOCK_ITEMS,
            ended: false,
        }));
        Ok(KIND_OK)
    })
}

/// The next block, borrowed until the next call; `KIND_NOT_FOUND` at the end.
#[no_mangle]
pub unsafe extern "C" fn weir_slate_iter_block(
    iter: *mut Iter,
    block: *mut Slice,
    error: *mut ShimError,
) -> i32 {
    guard_read(error, || {
        let iter = &mut *iter;
        iter.block.clear();
        if !iter.ended {
            block_on(fill(iter)).map_err(|fail| (*iter.db).explain(fail))?;
            iter.items = (iter.items * 4).min(BLOCK_ITEMS);
        }
        *block = Slice {
            data: iter.block.as_ptr(),
            size: iter.block.len(),
        };
        Ok(if iter.block.is_empty() {
            KIND_NOT_FOUND
        } else {
            KIND_OK
        })
    })
}

fn append(block: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    block.extend_from_slice(&(key.len() as u32).to_ne_bytes());
    block.extend_from_slice(&(value.len() as u32).to_ne_bytes());
    block.extend_from_slice(key);
    block.extend_from_slice(value);
}

async fn fill(iter: &mut Iter) -> Result<(), Fail> {
    let block = &mut iter.block;
    for _ in 0..iter.items {
        let is_item = match &mut iter.inner {
            Items::Slate(items) => match items.next().await? {
                Some(item) => {
                    append(block, &item.key, &item.value);
                    true
                }
                None => false,
            },
            Items::Merged(scan) => scan.next(|key, value| append(block, key, value)).await?,
        };
        iter.ended = !is_item;
        if iter.ended || block.len() >= BLOCK_BYTES {
            break;
        }
    }
    Ok(())
}

#[no_mangle]
pub unsafe extern "C" fn weir_slate_iter_close(iter: *mut Iter) {
    if !iter.is_null() {
        release(|| drop(Box::from_raw(iter)));
    }
}
