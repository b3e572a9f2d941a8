//! Blocks of tables, kept in memory as they are stored, and their rows. Memory that is used for the
//! first time costs more than taking rows apart, so a scan does that in memory of its own.
//!
//! SPDX-License-Identifier: Apache-2.0

use std::hash::BuildHasher;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::{BufMut, Bytes};
use foldhash::fast::RandomState;
use lru::LruCache;
use slatedb::db_cache::{CacheFetch, CacheLoader, CachedEntry, CachedKey, DbCache};
use slatedb::{RowEntry, ValueDeletable};

use crate::error::Fail;

/// The table, and which of its blocks.
pub type BlockId = (u128, usize);

/// Where the parts of a row are.
struct Stored {
    shared: usize,     // so many bytes of the key are those of the row before
    key: Range<usize>, // the others
    value: Range<usize>,
    number: u64, // of its batch
    is_deleted: bool,
    end: usize,
}

/// Seven bits in each byte, the lowest first.
fn size_at(rows: &[u8], at: &mut usize) -> Option<usize> {
    let mut size = 0;
    for shift in (0..35).step_by(7) {
        let byte = *rows.get(*at)?;
        *at += 1;
        size |= usize::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(size);
        }
    }
    None
}

fn put_size(rows: &mut Vec<u8>, mut size: usize) {
    while size >= 0x80 {
        rows.push(size as u8 | 0x80);
        size >>= 7;
    }
    rows.push(size as u8);
}

/// What a row's flags say.
const IS_DELETED: u8 = 1;
const HAS_TIME: u8 = 4;

/// A row: how many bytes its key shares with the one before, the sizes of the rest of its key and of
/// its value, these, the number of its batch, flags, and the time it was written.
fn row_at(rows: &[u8], mut at: usize) -> Option<Stored> {
    let shared = size_at(rows, &mut at)?;
    let key_size = size_at(rows, &mut at)?;
    let value_size = size_at(rows, &mut at)?;
    let value = at + key_size;
    let end = value + value_size;
    let (number, rest) = rows.get(end..)?.split_first_chunk()?;
    let flags = *rest.first()?;
    if flags & !(IS_DELETED | HAS_TIME) != 0 {
        return None;
    }
    let time_size = if flags & HAS_TIME != 0 { 8 } else { 0 };
    Some(Stored {
        shared,
        key: at..value,
        value: value..end,
        number: u64::from_be_bytes(*number),
        is_deleted: flags & IS_DELETED != 0,
        end: end + 9 + time_size,
    })
}

/// Rows after which a key is stored whole.
const PART_ROWS: usize = 16;

/// The rows of a block in order; the newest of a key comes first.
pub struct Block {
    rows: Bytes,
    parts: Vec<usize>, // the offsets of rows whose keys are stored whole; the first is 0
}

impl Block {
    /// A block that is not compressed, as it is stored: rows, the offsets of those whose keys are
    /// stored whole (two bytes each), their number (two bytes), a checksum. None: damage, or what only
    /// SlateDB's own reader knows.
    pub fn decode(stored: Bytes) -> Option<Self> {
        let (data, checksum) = stored.split_last_chunk()?;
        if crc32fast::hash(data) != u32::from_be_bytes(*checksum) {
            return None;
        }
        let (data, count) = data.split_last_chunk()?;
        let size = 2 * usize::from(u16::from_be_bytes(*count));
        let (rows, offsets) = data.split_at_checked(data.len().checked_sub(size)?)?;
        let offset = |bytes: &[u8]| usize::from(u16::from_be_bytes([bytes[0], bytes[1]]));
        let parts = offsets.chunks_exact(2).map(offset).collect();
        let rows = stored.slice(..rows.len());
        let block = Block { rows, parts };
        block.is_whole().then_some(block)
    }

    /// What SlateDB's reader has read.
    pub fn new(entries: Vec<RowEntry>) -> Result<Self, Fail> {
        let mut rows = Vec::new();
        let mut parts = Vec::new();
        for (i, entry) in entries.iter().enumerate() {
            let (value, flags): (&[u8], u8) = match &entry.value {
                ValueDeletable::Value(value) => (value, 0),
                ValueDeletable::Tombstone => (&[], IS_DELETED),
                ValueDeletable::Merge(_) => {
                    return Err(Fail::unsupported("another program wrote merge operands"))
                }
            };
            if entry.expire_ts.is_some() {
                return Err(Fail::unsupported("another program wrote items that expire"));
            }
            if i % PART_ROWS == 0 {
                parts.push(rows.len());
            }
            put_size(&mut rows, 0);
            put_size(&mut rows, entry.key.len());
            put_size(&mut rows, value.len());
            rows.extend_from_slice(&entry.key);
            rows.extend_from_slice(value);
            rows.put_u64(entry.seq);
            rows.push(flags);
        }
        rows.shrink_to_fit();
        Ok(Block {
            rows: rows.into(),
            parts,
        })
    }

    /// Whether all of it can be read: afterwards nothing has to be checked. The format before this
    /// one begins with two bytes of zero, which no row does: there is no empty key.
    fn is_whole(&self) -> bool {
        let mut parts = self.parts.iter().peekable();
        let mut at = 0;
        let mut before = 0; // the size of the key of the row before
        while at < self.rows.len() {
            let Some(row) = row_at(&self.rows, at) else {
                return false;
            };
            if parts.next_if_eq(&&at).is_some() {
                before = 0;
            } else if at == 0 {
                return false;
            }
            if row.shared > before || row.shared + row.key.len() == 0 || row.end > self.rows.len() {
                return false;
            }
            before = row.shared + row.key.len();
            at = row.end;
        }
        parts.next().is_none()
    }

    fn weight(&self) -> usize {
        size_of::<Block>() + self.rows.len() + self.parts.len() * size_of::<usize>()
    }

    /// The first part of which all keys come after the one that `is_before` is about.
    pub fn partition_point(&self, is_before: impl Fn(&[u8]) -> bool) -> usize {
        let starts_before = |at: &usize| {
            let row = row_at(&self.rows, *at);
            row.is_some_and(|row| is_before(&self.rows[row.key]))
        };
        self.parts.partition_point(starts_before)
    }

    /// The newest change of a key, if there is one; Some(None): it was deleted.
    pub fn get(&self, key: &[u8]) -> Option<Option<Bytes>> {
        let part = self.partition_point(|other| other < key).saturating_sub(1);
        let mut at = *self.parts.get(part)?;
        let mut found = Vec::with_capacity(2 * key.len());
        loop {
            let row = row_at(&self.rows, at)?;
            found.truncate(row.shared);
            found.extend_from_slice(&self.rows[row.key]);
            if found.as_slice() >= key {
                let value = || (!row.is_deleted).then(|| self.rows.slice(row.value));
                return (found == key).then(value);
            }
            at = row.end;
        }
    }
}

struct Slot {
    key: Range<usize>,   // in the bytes of `Rows`
    value: Range<usize>, // in the block, if there is one
    number: u64,
    is_deleted: bool,
}

/// A change of a key; without a value it is deleted.
pub struct Row<'a> {
    pub key: &'a [u8],
    pub value: Option<&'a [u8]>,
    pub number: u64, // of its batch
}

/// Some rows in order, which are taken from one end or the other.
#[derive(Default)]
pub struct Rows {
    bytes: Vec<u8>,
    slots: Vec<Slot>,
    left: Range<usize>,
    block: Option<Arc<Block>>,
}

impl Rows {
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.slots.clear();
        self.left = 0..0;
        self.block = None;
    }

    /// How many, and how many bytes they take.
    pub fn size(&self) -> (usize, usize) {
        (self.slots.len(), self.bytes.len())
    }

    pub fn push(&mut self, row: Row) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(row.key);
        let value = self.bytes.len();
        self.bytes.extend_from_slice(row.value.unwrap_or_default());
        self.slots.push(Slot {
            key: start..value,
            value: value..self.bytes.len(),
            number: row.number,
            is_deleted: row.value.is_none(),
        });
        self.left.end = self.slots.len();
    }

    pub fn reverse(&mut self) {
        self.slots.reverse();
    }

    /// Takes one part of a block.
    pub fn load(&mut self, block: &Arc<Block>, part: usize) {
        self.clear();
        let end = block.parts.get(part + 1).copied();
        let end = end.unwrap_or(block.rows.len());
        let mut at = block.parts[part];
        let mut before = 0; // where the key of the row before begins
        while at < end {
            let Some(row) = row_at(&block.rows, at) else {
                break;
            };
            let start = self.bytes.len();
            self.bytes.extend_from_within(before..before + row.shared);
            self.bytes.extend_from_slice(&block.rows[row.key]);
            self.slots.push(Slot {
                key: start..self.bytes.len(),
                value: row.value,
                number: row.number,
                is_deleted: row.is_deleted,
            });
            before = start;
            at = row.end;
        }
        self.left = 0..self.slots.len();
        self.block = Some(block.clone());
    }

    /// Leaves those out that come before `lower`, or not before `upper`.
    pub fn clip(
        &mut self,
        is_before_lower: impl Fn(&[u8]) -> bool,
        is_before_upper: impl Fn(&[u8]) -> bool,
    ) {
        let key = |slot: &Slot| &self.bytes[slot.key.clone()];
        let start = self
            .slots
            .partition_point(|slot| is_before_lower(key(slot)));
        let end = self
            .slots
            .partition_point(|slot| is_before_upper(key(slot)));
        self.left = start..end.max(start);
    }

    /// The next row.
    pub fn head(&self, reverse: bool) -> Option<Row<'_>> {
        let at = if reverse {
            self.left.end.checked_sub(1)?
        } else {
            self.left.start
        };
        if self.left.is_empty() {
            return None;
        }
        let slot = &self.slots[at];
        let values = self
            .block
            .as_ref()
            .map_or(self.bytes.as_slice(), |block| &block.rows);
        Some(Row {
            key: &self.bytes[slot.key.clone()],
            value: (!slot.is_deleted).then(|| &values[slot.value.clone()]),
            number: slot.number,
        })
    }

    pub fn advance(&mut self, reverse: bool) {
        if reverse {
            self.left.end -= 1;
        } else {
            self.left.start += 1;
        }
    }
}

const SHARDS: usize = 16;

struct Shard {
    blocks: LruCache<BlockId, Arc<Block>, RandomState>,
    bytes: usize,
}

/// The blocks that were read last.
pub struct Blocks {
    shards: Vec<Mutex<Shard>>,
    hasher: RandomState,
    shard_bytes: usize,
}

impl Blocks {
    pub fn new(bytes: u64) -> Self {
        let shard = |_| {
            Mutex::new(Shard {
                blocks: LruCache::unbounded_with_hasher(RandomState::default()),
                bytes: 0,
            })
        };
        Blocks {
            shards: (0..SHARDS).map(shard).collect(),
            hasher: RandomState::default(),
            shard_bytes: bytes as usize / SHARDS,
        }
    }

    fn shard(&self, id: &BlockId) -> &Mutex<Shard> {
        &self.shards[self.hasher.hash_one(id) as usize % SHARDS]
    }

    pub fn get(&self, id: &BlockId) -> Option<Arc<Block>> {
        let mut shard = self.shard(id).lock().unwrap_or_else(|e| e.into_inner());
        shard.blocks.get(id).cloned()
    }

    pub fn put(&self, id: BlockId, block: Arc<Block>) {
        let shard = &mut *self.shard(&id).lock().unwrap_or_else(|e| e.into_inner());
        shard.bytes += block.weight();
        if let Some(old) = shard.blocks.put(id, block) {
            shard.bytes -= old.weight();
        }
        while shard.bytes > self.shard_bytes {
            match shard.blocks.pop_lru() {
                Some((_, old)) => shard.bytes -= old.weight(),
                None => break,
            }
        }
    }
}

/// SlateDB's cache for a reader whose blocks are kept as above: it sees all but these.
pub struct NoBlocks(pub Arc<dyn DbCache>);

#[async_trait]
impl DbCache for NoBlocks {
    async fn get_block(&self, _: &CachedKey) -> Result<Option<CachedEntry>, slatedb::Error> {
        Ok(None)
    }

    async fn fetch_block(
        &self,
        _: CachedKey,
        loader: CacheLoader,
    ) -> Result<CacheFetch, slatedb::Error> {
        Ok(CacheFetch::miss(loader().await?))
    }

    async fn get_index(&self, key: &CachedKey) -> Result<Option<CachedEntry>, slatedb::Error> {
        self.0.get_index(key).await
    }

    async fn get_filter(&self, key: &CachedKey) -> Result<Option<CachedEntry>, slatedb::Error> {
        self.0.get_filter(key).await
    }

    async fn get_stats(&self, key: &CachedKey) -> Result<Option<CachedEntry>, slatedb::Error> {
        self.0.get_stats(key).await
    }

    async fn insert(&self, key: CachedKey, value: CachedEntry) {
        self.0.insert(key, value).await
    }

    async fn remove(&self, key: &CachedKey) {
        self.0.remove(key).await
    }

    fn entry_count(&self) -> u64 {
        self.0.entry_count()
    }
}
