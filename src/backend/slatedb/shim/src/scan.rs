//! Scans over the tables of a local database and what is in no table yet.
//!
//! SlateDB's own iterator passes each item through a dozen boxed futures and as many allocations.
//! This one takes some rows of a block at a time, into memory that it uses again, and merges them.
//! It sees exactly what a snapshot sees: of each key the newest change up to the snapshot's number,
//! which SlateDB keeps while the snapshot is open.
//!
//! SPDX-License-Identifier: Apache-2.0

use std::cmp::Reverse;
use std::ops::Bound;
use std::sync::Arc;
use std::vec;

use bytes::Bytes;

use crate::block::{Block, Rows};
use crate::error::{Fail, KIND_IO};
use crate::recent::{Place, FIRST_ROWS, READ_ROWS};
use crate::table::{Table, Tables, Version};

/// Lower inclusive, upper exclusive.
struct Range {
    lower: Option<Bytes>,
    upper: Option<Bytes>,
    reverse: bool,
}

impl Range {
    fn is_before_lower(&self, key: &[u8]) -> bool {
        self.lower
            .as_ref()
            .is_some_and(|lower| key < lower.as_ref())
    }

    fn is_before_upper(&self, key: &[u8]) -> bool {
        self.upper.as_ref().is_none_or(|upper| key < upper.as_ref())
    }

    /// Whether the keys from `first` to `last` may hold one of the range.
    fn touches(&self, first: Option<&Bytes>, last: Option<&Bytes>) -> bool {
        first.is_none_or(|key| self.is_before_upper(key))
            && last.is_none_or(|key| !self.is_before_lower(key))
    }

    /// The same range in `Recent`, behind the last place that was looked at.
    fn places(&self, last: Option<Place>) -> (Bound<Place>, Bound<Place>) {
        let first_of = |key: &Bytes| (key.clone(), Reverse(u64::MAX));
        let lower = self
            .lower
            .as_ref()
            .map_or(Bound::Unbounded, |key| Bound::Included(first_of(key)));
        let upper = self
            .upper
            .as_ref()
            .map_or(Bound::Unbounded, |key| Bound::Excluded(first_of(key)));
        match last {
            None => (lower, upper),
            Some(last) if self.reverse => (lower, Bound::Excluded(last)),
            Some(last) => (Bound::Excluded(last), upper),
        }
    }
}

/// The parts of a block that are still to be read.
struct Parts {
    block: Arc<Block>,
    left: std::ops::Range<usize>,
}

/// The blocks of a table that are still to be read.
struct Blocks {
    table: Arc<Table>,
    left: std::ops::Range<usize>,
    open: Option<Parts>,
}

/// From the one or the other end.
fn take_next(left: &mut std::ops::Range<usize>, reverse: bool) -> Option<usize> {
    if reverse {
        left.next_back()
    } else {
        left.next()
    }
}

impl Blocks {
    async fn open(table: Arc<Table>, range: &Range) -> Result<Self, Fail> {
        let from = table
            .first_block(|first| range.is_before_lower(first))
            .await?;
        let index = table.index().await?;
        let to = index.partition_point(|first| range.is_before_upper(first));
        Ok(Blocks {
            table,
            left: from..to,
            open: None,
        })
    }

    /// Reads the next rows, if there are any; false at the end.
    async fn next(
        &mut self,
        tables: &Tables,
        range: &Range,
        rows: &mut Rows,
    ) -> Result<bool, Fail> {
        loop {
            if let Some(Parts { block, left }) = &mut self.open {
                if let Some(part) = take_next(left, range.reverse) {
                    rows.load(block, part);
                    rows.clip(
                        |key| range.is_before_lower(key),
                        |key| range.is_before_upper(key),
                    );
                    return Ok(true);
                }
            }
            let Some(wanted) = take_next(&mut self.left, range.reverse) else {
                return Ok(false);
            };
            let block = tables.block(&self.table, wanted).await?;
            let from = block.partition_point(|first| range.is_before_lower(first));
            let to = block.partition_point(|first| range.is_before_upper(first));
            let left = from.saturating_sub(1)..to;
            self.open = Some(Parts { block, left });
        }
    }
}

/// Where the rows of a source come from.
enum Feed {
    /// All behind the place, so many rows at a time.
    Recent { last: Option<Place>, most: usize },
    /// Tables whose keys follow each other, in the order of the scan.
    Tables {
        waiting: vec::IntoIter<Arc<Table>>,
        open: Option<Blocks>,
    },
}

struct Source {
    feed: Feed,
    rows: Rows,
    ended: bool,
}

impl Source {
    fn new(feed: Feed) -> Self {
        Source {
            feed,
            rows: Rows::default(),
            ended: false,
        }
    }

    fn of_tables(mut tables: Vec<Arc<Table>>, reverse: bool) -> Self {
        if reverse {
            tables.reverse();
        }
        Source::new(Feed::Tables {
            waiting: tables.into_iter(),
            open: None,
        })
    }
}

/// The newest change so far of a key that may have more of them.
#[derive(Default)]
struct Current {
    key: Vec<u8>, // empty: there is none
    value: Vec<u8>,
    number: u64,
    is_deleted: bool,
}

/// What a scan needs next.
enum Lead {
    Row(usize),
    Fill(usize),
    End,
}

pub struct Scan {
    tables: Arc<Tables>,
    range: Range,
    newest: u64, // the number of the snapshot
    version: Arc<Version>,
    sources: Vec<Source>,
    current: Current,
}

impl Scan {
    /// A scan of a snapshot of number `newest`, which stays open as long. None: SlateDB alone knows
    /// all that is there.
    pub fn open(
        tables: &Arc<Tables>,
        newest: u64,
        bounds: (Bound<&[u8]>, Bound<&[u8]>),
        reverse: bool,
    ) -> Result<Option<Self>, Fail> {
        let bound = |bound| match bound {
            Bound::Included(key) | Bound::Excluded(key) => Some(Bytes::copy_from_slice(key)),
            Bound::Unbounded => None,
        };
        let Some(version) = tables.version()? else {
            return Ok(None);
        };
        tables.recent.settle();
        let mut scan = Scan {
            tables: tables.clone(),
            range: Range {
                lower: bound(bounds.0),
                upper: bound(bounds.1),
                reverse,
            },
            newest,
            version,
            sources: Vec::new(),
            current: Current::default(),
        };
        scan.begin();
        Ok(Some(scan))
    }

    fn begin(&mut self) {
        let range = &self.range;
        let wanted = |table: &&Arc<Table>| {
            let info = &table.handle.info;
            range.touches(info.first_entry.as_ref(), info.last_entry.as_ref())
        };
        let mut sources = vec![Source::new(Feed::Recent {
            last: None,
            most: FIRST_ROWS,
        })];
        for table in self.version.l0.iter().filter(wanted) {
            sources.push(Source::of_tables(vec![table.clone()], range.reverse));
        }
        for run in &self.version.runs {
            let tables = run.iter().filter(wanted).cloned().collect();
            sources.push(Source::of_tables(tables, range.reverse));
        }
        self.sources = sources;
    }

    /// Goes on with the tables of now, from the first key that is not done. False: they are those
    /// that the scan has already.
    fn begin_anew(&mut self) -> Result<bool, Fail> {
        match self.tables.version()? {
            Some(version) if !Arc::ptr_eq(&version, &self.version) => self.version = version,
            _ => return Ok(false),
        }
        let mut key = std::mem::take(&mut self.current.key);
        if !key.is_empty() {
            if self.range.reverse {
                key.push(0);
                self.range.upper = Some(key.into());
            } else {
                self.range.lower = Some(key.into());
            }
        }
        self.begin();
        Ok(true)
    }

    fn lead(&self) -> Lead {
        let reverse = self.range.reverse;
        let mut lead: Option<(usize, &[u8])> = None;
        for (i, source) in self.sources.iter().enumerate() {
            match (source.rows.head(reverse), lead) {
                (None, _) if source.ended => {}
                (None, _) => return Lead::Fill(i),
                (Some(row), Some((_, first))) if (row.key < first) == reverse => {}
                (Some(row), _) => lead = Some((i, row.key)),
            }
        }
        lead.map_or(Lead::End, |(i, _)| Lead::Row(i))
    }

    /// Calls `take` for the next item, if there is one.
    pub async fn next(&mut self, mut take: impl FnMut(&[u8], &[u8])) -> Result<bool, Fail> {
        loop {
            let is_done = match self.lead() {
                Lead::Fill(i) => {
                    if let Err(fail) = self.fill(i).await {
                        // Tables that were merged into others are removed some time later.
                        if !self.begin_anew()? {
                            return Err(fail);
                        }
                    }
                    continue;
                }
                Lead::Row(i) => self.take_row(i, &mut take),
                Lead::End if self.current.key.is_empty() => return Ok(false),
                Lead::End => self.finish(&mut take),
            };
            if is_done {
                return Ok(true);
            }
        }
    }

    /// Hands out the key that is done with, unless it is deleted.
    fn finish(&mut self, take: &mut impl FnMut(&[u8], &[u8])) -> bool {
        let current = &mut self.current;
        let is_item = !current.key.is_empty() && !current.is_deleted;
        if is_item {
            take(&current.key, &current.value);
        }
        current.key.clear();
        is_item
    }

    /// Takes the next row of a source over; true if the key before was handed out.
    fn take_row(&mut self, i: usize, take: &mut impl FnMut(&[u8], &[u8])) -> bool {
        let reverse = self.range.reverse;
        let mut rows = std::mem::take(&mut self.sources[i].rows);
        let mut is_item = false;
        if let Some(row) = rows.head(reverse).filter(|row| row.number <= self.newest) {
            let is_other = self.current.key != row.key;
            if is_other {
                is_item = self.finish(take);
                self.current.key.extend_from_slice(row.key);
            }
            let current = &mut self.current;
            if is_other || row.number > current.number {
                current.value.clear();
                current
                    .value
                    .extend_from_slice(row.value.unwrap_or_default());
                current.number = row.number;
                current.is_deleted = row.value.is_none();
            }
        }
        rows.advance(reverse);
        self.sources[i].rows = rows;
        is_item
    }

    /// Reads the next rows of a source.
    async fn fill(&mut self, i: usize) -> Result<(), Fail> {
        let Source { feed, rows, ended } = &mut self.sources[i];
        let (waiting, open) = match feed {
            Feed::Tables { waiting, open } => (waiting, open),
            Feed::Recent { last, most } => {
                let between = self.range.places(last.take());
                let (newest, stored) = (self.newest, self.version.stored);
                let recent = &self.tables.recent;
                match recent.read(between, self.range.reverse, newest, stored, *most, rows) {
                    Some(behind) => {
                        *most = (*most * 4).min(READ_ROWS);
                        *ended = behind.is_none();
                        *last = behind;
                    }
                    None if self.begin_anew()? => {}
                    None => return Err(Fail::new(KIND_IO, "SlateDB tells of no new tables")),
                }
                return Ok(());
            }
        };
        if let Some(blocks) = open {
            if !blocks.next(&self.tables, &self.range, rows).await? {
                *open = None;
            }
        } else if let Some(table) = waiting.next() {
            *open = Some(Blocks::open(table, &self.range).await?);
        } else {
            *ended = true;
        }
        Ok(())
    }
}
