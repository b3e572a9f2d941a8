//! Scans over the tables of a local database and what is in no table yet.
//!
//! SlateDB's own iterator passes each item through a dozen boxed futures and as many allocations.
//! This one takes a block of a table at a time and merges what the blocks hold. It sees exactly what a snapshot sees: of each key the
//! newest change up to the snapshot's number, which SlateDB keeps while the snapshot is open.
//!
//! SPDX-License-Identifier: Apache-2.0

use std::cmp::Reverse;
use std::ops::Bound;
use std::sync::Arc;
use std::vec;

use bytes::Bytes;

use crate::block::Row;
use crate::error::Fail;
use crate::recent::Place;
use crate::table::{Table, Tables, Version};

/// Rows that are taken out of `Recent` at a time.
const RECENT_ROWS: usize = 256;

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

/// The blocks of a table that are still to be read.
struct Blocks {
    table: Arc<Table>,
    from: usize,
    to: usize,
}

impl Blocks {
    async fn open(table: Arc<Table>, range: &Range) -> Result<Self, Fail> {
        let from = table
            .first_block(|first| range.is_before_lower(first))
            .await?;
        let index = table.index().await?;
        let to = index.partition_point(|first| range.is_before_upper(first));
        Ok(Blocks { table, from, to })
    }

    /// The rows of the next block; None at the end.
    async fn next(&mut self, tables: &Tables, range: &Range) -> Result<Option<Vec<Row>>, Fail> {
        if self.from >= self.to {
            return Ok(None);
        }
        let wanted = if range.reverse {
            self.to -= 1;
            self.to
        } else {
            self.from += 1;
            self.from - 1
        };
        let block = tables.block(&self.table, wanted).await?;
        let start = block.partition_point(|key| range.is_before_lower(key));
        let end = block.partition_point(|key| range.is_before_upper(key));
        Ok(Some((start..end).map(|i| block.row(i)).collect()))
    }
}

/// Where the rows of a source come from.
enum Feed {
    /// All behind the place.
    Recent(Option<Place>),
    /// Tables whose keys follow each other, in the order of the scan.
    Tables {
        waiting: vec::IntoIter<Arc<Table>>,
        open: Option<Blocks>,
    },
}

struct Source {
    feed: Feed,
    rows: vec::IntoIter<Row>, // by key; in reverse they are taken from the end
    ended: bool,
}

impl Source {
    fn new(feed: Feed) -> Self {
        Source {
            feed,
            rows: Vec::new().into_iter(),
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

    fn head(&self, reverse: bool) -> Option<&Row> {
        let rows = self.rows.as_slice();
        if reverse {
            rows.last()
        } else {
            rows.first()
        }
    }
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
    current: Option<Row>, // the newest change of a key that may have more of them
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
            current: None,
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
        let mut sources = vec![Source::new(Feed::Recent(None))];
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
        if let Some(row) = self.current.take() {
            if self.range.reverse {
                let mut upper = Vec::with_capacity(row.key.len() + 1);
                upper.extend_from_slice(&row.key);
                upper.push(0);
                self.range.upper = Some(upper.into());
            } else {
                self.range.lower = Some(row.key);
            }
        }
        self.begin();
        Ok(true)
    }

    fn lead(&self) -> Lead {
        let reverse = self.range.reverse;
        let mut lead: Option<(usize, &Row)> = None;
        for (i, source) in self.sources.iter().enumerate() {
            match (source.head(reverse), lead) {
                (None, _) if source.ended => {}
                (None, _) => return Lead::Fill(i),
                (Some(row), Some((_, first))) if (row.key < first.key) == reverse => {}
                (Some(row), _) => lead = Some((i, row)),
            }
        }
        lead.map_or(Lead::End, |(i, _)| Lead::Row(i))
    }

    /// The next item.
    pub async fn next(&mut self) -> Result<Option<(Bytes, Bytes)>, Fail> {
        loop {
            let done = match self.lead() {
                Lead::Fill(i) => {
                    if let Err(fail) = self.fill(i).await {
                        // Tables that were merged into others are removed some time later.
                        if !self.begin_anew()? {
                            return Err(fail);
                        }
                    }
                    continue;
                }
                Lead::Row(i) => {
                    let rows = &mut self.sources[i].rows;
                    let row = if self.range.reverse {
                        rows.next_back()
                    } else {
                        rows.next()
                    };
                    self.newer(row)
                }
                Lead::End => match self.current.take() {
                    None => return Ok(None),
                    row => row,
                },
            };
            if let Some(Row {
                key,
                value: Some(value),
                ..
            }) = done
            {
                return Ok(Some((key, value)));
            }
        }
    }

    /// Takes a change over; returns that of the key before, which is done with.
    fn newer(&mut self, row: Option<Row>) -> Option<Row> {
        let row = row.filter(|row| row.number <= self.newest)?;
        match &mut self.current {
            Some(current) if current.key == row.key => {
                if row.number > current.number {
                    *current = row;
                }
                None
            }
            current => current.replace(row),
        }
    }

    async fn fill(&mut self, i: usize) -> Result<(), Fail> {
        let source = &mut self.sources[i];
        let (open, waiting) = match &mut source.feed {
            Feed::Recent(last) => {
                let between = self.range.places(last.take());
                let recent = &self.tables.recent;
                let reverse = self.range.reverse;
                match recent.read(
                    between,
                    reverse,
                    self.newest,
                    self.version.stored,
                    RECENT_ROWS,
                ) {
                    None => {
                        self.begin_anew()?;
                    }
                    Some((rows, last)) => {
                        source.ended = last.is_none();
                        source.rows = rows.into_iter();
                        source.feed = Feed::Recent(last);
                    }
                }
                return Ok(());
            }
            Feed::Tables { waiting, open } => (open, waiting),
        };
        if open.is_none() {
            match waiting.next() {
                None => source.ended = true,
                Some(table) => *open = Some(Blocks::open(table, &self.range).await?),
            }
        } else if let Some(blocks) = open {
            match blocks.next(&self.tables, &self.range).await? {
                None => *open = None,
                Some(rows) => source.rows = rows.into_iter(),
            }
        }
        Ok(())
    }
}
