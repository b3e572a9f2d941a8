//! Blocks of tables, taken apart once and kept in memory: what is read of them again is found by
//! halving, and shares their memory.
//!
//! SPDX-License-Identifier: Apache-2.0

use std::hash::BuildHasher;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use foldhash::fast::RandomState;
use lru::LruCache;
use slatedb::db_cache::{CacheFetch, CacheLoader, CachedEntry, CachedKey, DbCache};
use slatedb::{RowEntry, ValueDeletable};

use crate::error::Fail;

/// The table, and which of its blocks.
pub type BlockId = (u128, usize);

struct Slot {
    key: u32, // offsets in the bytes of the block
    value: u32,
    end: u32,
    is_deleted: bool,
    number: u64,
}

/// The rows of a block in order; the newest of a key comes first.
pub struct Block {
    bytes: Bytes,
    slots: Vec<Slot>,
}

/// A change of a key; without a value it is deleted.
pub struct Row {
    pub key: Bytes,
    pub value: Option<Bytes>,
    pub number: u64, // of its batch
}

impl Block {
    pub fn new(entries: Vec<RowEntry>) -> Result<Self, Fail> {
        let size = entries
            .iter()
            .map(|entry| entry.key.len() + entry.value.len());
        let mut bytes = BytesMut::with_capacity(size.sum());
        let mut slots = Vec::with_capacity(entries.len());
        for entry in entries {
            let key = bytes.len() as u32;
            bytes.extend_from_slice(&entry.key);
            let value = bytes.len() as u32;
            let is_deleted = match &entry.value {
                ValueDeletable::Value(value) => {
                    bytes.extend_from_slice(value);
                    false
                }
                ValueDeletable::Tombstone => true,
                ValueDeletable::Merge(_) => {
                    return Err(Fail::unsupported("another program wrote merge operands"))
                }
            };
            if entry.expire_ts.is_some() {
                return Err(Fail::unsupported("another program wrote items that expire"));
            }
            slots.push(Slot {
                key,
                value,
                end: bytes.len() as u32,
                is_deleted,
                number: entry.seq,
            });
        }
        Ok(Block {
            bytes: bytes.freeze(),
            slots,
        })
    }

    fn weight(&self) -> usize {
        size_of::<Block>() + self.bytes.len() + self.slots.len() * size_of::<Slot>()
    }

    fn key(&self, slot: &Slot) -> &[u8] {
        &self.bytes[slot.key as usize..slot.value as usize]
    }

    /// The first row whose key is not before the one that `is_before` is about.
    pub fn partition_point(&self, is_before: impl Fn(&[u8]) -> bool) -> usize {
        self.slots.partition_point(|slot| is_before(self.key(slot)))
    }

    pub fn row(&self, i: usize) -> Row {
        let slot = &self.slots[i];
        Row {
            key: self.bytes.slice(slot.key as usize..slot.value as usize),
            value: self.value(slot),
            number: slot.number,
        }
    }

    fn value(&self, slot: &Slot) -> Option<Bytes> {
        (!slot.is_deleted).then(|| self.bytes.slice(slot.value as usize..slot.end as usize))
    }

    /// The newest change of a key, if there is one; Some(None): it was deleted.
    pub fn get(&self, key: &[u8]) -> Option<Option<Bytes>> {
        let slot = self.slots.get(self.partition_point(|other| other < key))?;
        (self.key(slot) == key).then(|| self.value(slot))
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
