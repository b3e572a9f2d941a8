//! What was written and is in no table yet, in order: a scan that reads tables by itself (`scan.rs`)
//! can't see SlateDB's memtables. Keys and values are shared with these, not copied.
//!
//! A batch is put in order when somebody scans, so that those who never do pay next to nothing.
//!
//! SPDX-License-Identifier: Apache-2.0

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard};

use bytes::Bytes;
use slatedb::Db;

use crate::error::Fail;
use crate::runtime::block_on;
use crate::scan::Row;

/// A key, and the number of the batch that changed it: the newest of a key comes first.
pub type Place = (Bytes, Reverse<u64>);

/// One change; without a value the key is deleted.
pub type Change = (Bytes, Option<Bytes>);

struct State {
    rows: BTreeMap<Place, Option<Bytes>>,
    batches: Vec<(u64, Vec<Change>)>, // not in `rows` yet
    bytes: usize,                     // written since rows were last dropped
    stored: u64,                      // rows up to this number were dropped: they are in tables
}

pub struct Recent {
    state: Mutex<State>,
    drop_after_bytes: usize,
    /// What a log held when the database was opened has numbers up to this one, and is not here.
    unknown: u64,
}

impl Recent {
    pub fn new(db: &Db, memtable_bytes: u64) -> Result<Self, Fail> {
        Ok(Recent {
            state: Mutex::new(State {
                rows: BTreeMap::new(),
                batches: Vec::new(),
                bytes: 0,
                stored: 0,
            }),
            drop_after_bytes: memtable_bytes as usize / 4,
            unknown: db.snapshot()?.seq(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Whether what is here, and tables that hold all up to number `stored`, are all there is.
    pub fn is_completed_by(&self, stored: u64) -> bool {
        stored >= self.unknown
    }

    /// Writes a batch. A scan that begins meanwhile waits, as it would see a part of it otherwise.
    pub fn write(
        &self,
        db: &Db,
        batch: slatedb::WriteBatch,
        changes: Vec<Change>,
    ) -> Result<(), slatedb::Error> {
        let mut state = self.lock();
        let number = block_on(db.write(batch))?.seqnum();
        let size = |(key, value): &Change| key.len() + value.as_ref().map_or(0, Bytes::len);
        state.bytes += changes.iter().map(size).sum::<usize>();
        state.batches.push((number, changes));
        if state.bytes >= self.drop_after_bytes {
            state.bytes = 0;
            state.drop_stored(db.manifest().last_l0_seq());
        }
        Ok(())
    }

    /// Puts all batches in order, for a scan that begins.
    pub fn settle(&self) {
        let mut state = self.lock();
        for (number, changes) in std::mem::take(&mut state.batches) {
            for (key, value) in changes {
                state.rows.insert((key, Reverse(number)), value);
            }
        }
    }

    /// The first rows between two places, in reverse the last, of batches up to number `newest`, in
    /// order; and if there may be more of them, the place of the one looked at last. None: rows were
    /// dropped that tables which hold all up to `stored` do not have.
    pub fn read(
        &self,
        between: (Bound<Place>, Bound<Place>),
        reverse: bool,
        newest: u64,
        stored: u64,
        count: usize,
    ) -> Option<(Vec<Row>, Option<Place>)> {
        let state = self.lock();
        if state.stored > stored {
            return None;
        }
        let mut rows = Vec::new();
        let mut last = None;
        let mut take = |(place, value): (&Place, &Option<Bytes>)| {
            if place.1 .0 <= newest {
                rows.push(Row {
                    key: place.0.clone(),
                    value: value.clone(),
                    number: place.1 .0,
                });
            }
            if rows.len() == count {
                last = Some(place.clone());
            }
            rows.len() < count
        };
        let mut range = state.rows.range(between);
        if reverse {
            range.rev().all(&mut take);
            rows.reverse();
        } else {
            range.all(&mut take);
        }
        Some((rows, last))
    }
}

impl State {
    fn drop_stored(&mut self, stored: u64) {
        if stored <= self.stored {
            return;
        }
        self.stored = stored;
        self.batches.retain(|(number, _)| *number > stored);
        self.rows.retain(|(_, Reverse(number)), _| *number > stored);
    }
}
