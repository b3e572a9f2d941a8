//! What was written and is in no table yet. Reads of the state as of now look here first, which
//! saves them the way through SlateDB's memtables; scans that read tables by themselves (`scan.rs`)
//! find here, in order, what these hold. Keys and values are shared with them, not copied.
//!
//! A batch is looked at when somebody reads, and put in order when somebody scans, so that those
//! who never do pay nothing. As reads find it here, it goes to SlateDB without waiting (`queue.rs`);
//! all that asks SlateDB for what is newest waits for it.
//!
//! SPDX-License-Identifier: Apache-2.0

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};
use std::hash::BuildHasher;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use foldhash::fast::RandomState;
use hashbrown::HashTable;
use slatedb::{Db, DbStatus};
use tokio::sync::watch;

use crate::block::{Row, Rows};
use crate::error::Fail;
use crate::queue::{Queue, View};

/// Rows that a scan reads at first, as many want no more, and at most at a time.
pub const FIRST_ROWS: usize = 8;
pub const READ_ROWS: usize = 256;
const READ_BYTES: usize = 64 * 1024;

/// A key, and the number of the batch that changed it: the newest of a key comes first.
pub type Place = (Bytes, Reverse<u64>);

/// One change; without a value the key is deleted.
pub type Change = (Bytes, Option<Bytes>);

/// Those of one batch. A key that is changed several times has what stands last.
pub struct Changes {
    pub rows: Vec<Change>,
    pub bytes: usize, // of keys and values
}

struct Batch {
    number: u64,
    changes: Arc<Changes>,
}

/// The newest change of a key.
struct Newest {
    hash: u64,
    number: u64, // of its batch
    change: u32,
}

#[derive(Default)]
struct State {
    batches: VecDeque<Batch>, // their numbers follow each other
    bytes: usize,             // of their keys and values
    last: u64,                // the number of the newest batch
    stored: u64,              // batches up to this number were dropped: they are in tables
    newest: HashTable<Newest>,
    indexed: u64, // batches up to this number are in `newest`
    rows: BTreeMap<Place, Option<Bytes>>,
    ordered: u64, // batches up to this number are in `rows`
}

pub struct Recent {
    queue: Queue, // its lock is taken before that of `state`
    state: Mutex<State>,
    hasher: RandomState,
    status: watch::Receiver<DbStatus>,
    /// What a log held when the database was opened has numbers up to this one, and is not here.
    unknown: u64,
}

impl Recent {
    pub fn new(db: &Db) -> Result<Self, Fail> {
        let unknown = db.snapshot()?.seq();
        Ok(Recent {
            queue: Queue::new(db.clone(), unknown),
            state: Mutex::new(State {
                last: unknown,
                ..State::default()
            }),
            hasher: RandomState::default(),
            status: db.subscribe(),
            unknown,
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Whether what is here, and tables that hold all up to number `stored`, are all there is.
    pub fn is_completed_by(&self, stored: u64) -> bool {
        stored >= self.unknown
    }

    /// Waits until SlateDB has all that was written.
    pub fn finish(&self) -> Result<(), Fail> {
        self.queue.finish()
    }

    /// What there is now, for scans.
    pub fn view(&self) -> Result<View, Fail> {
        self.queue.view()
    }

    /// Hands a batch over to SlateDB; returns how many bytes of keys and values are here. What becomes
    /// of the batch is told by `finish`, or by a later batch.
    pub fn write(&self, changes: Changes) -> Result<usize, Fail> {
        let (closed, stored) = {
            let status = self.status.borrow();
            (status.close_reason, status.current_manifest.last_l0_seq())
        };
        if let Some(reason) = closed {
            return Err(Fail::closed(reason));
        }
        let changes = Arc::new(changes);
        let mut bytes = 0;
        self.queue.add(|| {
            let mut state = self.lock();
            state.drop_stored(stored);
            let number = state.add(changes.clone());
            bytes = state.bytes;
            (changes, number)
        })?;
        Ok(bytes)
    }

    /// The newest change of a key, if it is here; Some(None) if it was deleted.
    pub fn get(&self, key: &[u8]) -> Option<Option<Bytes>> {
        let hash = self.hasher.hash_one(key);
        let mut state = self.lock();
        state.index(&self.hasher);
        let newest = state.find(hash, key)?;
        Some(state.change(newest).1.clone())
    }

    /// Puts all batches in order, for a scan that begins.
    pub fn settle(&self) {
        let state = &mut *self.lock();
        for batch in unseen(&state.batches, state.ordered) {
            for (key, value) in batch.changes.rows.iter() {
                let place = (key.clone(), Reverse(batch.number));
                state.rows.insert(place, value.clone());
            }
        }
        state.ordered = state.last;
    }

    /// The first rows between two places, in reverse the last, of batches up to number `newest`, `most`
    /// of them; and if there may be more, the place of the one looked at last. None: rows were dropped
    /// that tables which hold all up to `stored` do not have.
    pub fn read(
        &self,
        between: (Bound<Place>, Bound<Place>),
        reverse: bool,
        newest: u64,
        stored: u64,
        most: usize,
        rows: &mut Rows,
    ) -> Option<Option<Place>> {
        rows.clear();
        let state = self.lock();
        if state.stored > stored {
            return None;
        }
        let mut last = None;
        let mut take = |(place, value): (&Place, &Option<Bytes>)| {
            if place.1 .0 <= newest {
                rows.push(Row {
                    key: &place.0,
                    value: value.as_deref(),
                    number: place.1 .0,
                });
            }
            let (count, bytes) = rows.size();
            let is_full = count == most || bytes >= READ_BYTES;
            if is_full {
                last = Some(place.clone());
            }
            !is_full
        };
        let mut range = state.rows.range(between);
        if reverse {
            range.rev().all(&mut take);
            rows.reverse();
        } else {
            range.all(&mut take);
        }
        Some(last)
    }
}

/// The batches of a higher number than `seen`.
fn unseen(batches: &VecDeque<Batch>, seen: u64) -> impl Iterator<Item = &Batch> {
    let first = batches.partition_point(|batch| batch.number <= seen);
    batches.range(first..)
}

fn change_at<'a>(batches: &'a VecDeque<Batch>, at: &Newest) -> &'a Change {
    let first = batches.front().map_or(0, |batch| batch.number);
    &batches[(at.number - first) as usize].changes.rows[at.change as usize]
}

impl State {
    /// Returns the number of the new batch.
    fn add(&mut self, changes: Arc<Changes>) -> u64 {
        self.bytes += changes.bytes;
        self.last += 1;
        let number = self.last;
        self.batches.push_back(Batch { number, changes });
        number
    }

    fn change(&self, at: &Newest) -> &Change {
        change_at(&self.batches, at)
    }

    fn find(&self, hash: u64, key: &[u8]) -> Option<&Newest> {
        let is_it = |at: &Newest| at.hash == hash && self.change(at).0 == key;
        self.newest.find(hash, is_it)
    }

    fn index(&mut self, hasher: &RandomState) {
        if self.indexed == self.last {
            return;
        }
        for batch in unseen(&self.batches, self.indexed) {
            for (i, (key, _)) in batch.changes.rows.iter().enumerate() {
                let newest = Newest {
                    hash: hasher.hash_one(key.as_ref()),
                    number: batch.number,
                    change: i as u32,
                };
                let is_it =
                    |at: &Newest| at.hash == newest.hash && change_at(&self.batches, at).0 == key;
                match self.newest.find_mut(newest.hash, is_it) {
                    Some(at) => *at = newest,
                    None => {
                        self.newest.insert_unique(newest.hash, newest, |at| at.hash);
                    }
                }
            }
        }
        self.indexed = self.last;
    }

    fn drop_stored(&mut self, stored: u64) {
        if stored <= self.stored {
            return;
        }
        self.stored = stored;
        self.newest.retain(|at| at.number > stored);
        self.rows.retain(|(_, Reverse(number)), _| *number > stored);
        let first = self.batches.partition_point(|batch| batch.number <= stored);
        for batch in self.batches.drain(..first) {
            self.bytes -= batch.changes.bytes;
        }
    }
}
