//! Scans over the tables of a local database and what is in no table yet.
//!
//! SlateDB's own iterator passes each item through a dozen boxed futures and as many allocations.
//! This one decodes a block of a table at a time, through SlateDB's reader of tables and its block
//! cache, and merges what the blocks hold. It sees exactly what a snapshot sees: of each key the
//! newest change up to the snapshot's number, which SlateDB keeps while the snapshot is open.
//!
//! SPDX-License-Identifier: Apache-2.0

use std::cmp::Reverse;
use std::ops::Bound;
use std::sync::Arc;
use std::vec;

use bytes::Bytes;
use slatedb::db_cache::DbCache;
use slatedb::manifest::{SsTableHandle, SsTableView};
use slatedb::object_store::ObjectStore;
use slatedb::{Db, RowEntry, SstFile, SstReader, ValueDeletable, VersionedManifest};

use crate::error::Fail;
use crate::recent::{Place, Recent};

/// Rows that are taken out of `Recent` at a time.
const RECENT_ROWS: usize = 256;
/// Most blocks of a table that are asked for at a time, when a scan goes on for long.
const BLOCKS_AHEAD: usize = 8;

/// A change of a key; without a value it is deleted.
pub struct Row {
    pub key: Bytes,
    pub value: Option<Bytes>,
    pub number: u64, // of its batch
}

/// What scans of a database share.
pub struct Tables {
    reader: SstReader,
    pub recent: Recent,
}

impl Tables {
    pub fn new(
        db: &Db,
        path: &str,
        store: Arc<dyn ObjectStore>,
        cache: Arc<dyn DbCache>,
        memtable_bytes: u64,
    ) -> Result<Self, Fail> {
        Ok(Tables {
            reader: SstReader::new(path, store, Some(cache), None),
            recent: Recent::new(db, memtable_bytes)?,
        })
    }
}

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

fn row_of(entry: RowEntry) -> Result<Row, Fail> {
    let value = match entry.value {
        ValueDeletable::Value(value) => Some(value),
        ValueDeletable::Tombstone => None,
        ValueDeletable::Merge(_) => {
            return Err(Fail::unsupported("another program wrote merge operands"))
        }
    };
    if entry.expire_ts.is_some() {
        return Err(Fail::unsupported("another program wrote items that expire"));
    }
    Ok(Row {
        key: entry.key,
        value,
        number: entry.seq,
    })
}

/// The blocks of a table that are still to be read.
struct Blocks {
    file: SstFile,
    from: usize,
    to: usize,
}

impl Blocks {
    async fn open(tables: &Tables, handle: SsTableHandle, range: &Range) -> Result<Self, Fail> {
        let file = tables.reader.open_with_handle(handle)?;
        let index = file.index().await?;
        // A block holds keys from its first one in the index on, and up to that of the next, which
        // is the same if a key has more versions than go into a block.
        let from = index.partition_point(|first| range.is_before_lower(first));
        let to = index.partition_point(|first| range.is_before_upper(first));
        Ok(Blocks {
            file,
            from: from.saturating_sub(1),
            to,
        })
    }

    /// The rows of the next blocks; None at the end.
    async fn next(&mut self, range: &Range, count: usize) -> Result<Option<Vec<Row>>, Fail> {
        if self.from >= self.to {
            return Ok(None);
        }
        let count = count.min(self.to - self.from);
        let wanted = if range.reverse {
            self.to -= count;
            self.to..self.to + count
        } else {
            self.from += count;
            self.from - count..self.from
        };
        let file = &self.file;
        let mut rows = Vec::new();
        if count == 1 {
            rows = self.file.read_block(wanted.start).await?;
        } else {
            let blocks = wanted.map(|block| file.read_block(block));
            for mut block in futures::future::try_join_all(blocks).await? {
                rows.append(&mut block);
            }
        }
        let end = rows.partition_point(|row| range.is_before_upper(&row.key));
        rows.truncate(end);
        let start = rows.partition_point(|row| range.is_before_lower(&row.key));
        let rows = rows.into_iter().skip(start).map(row_of);
        Ok(Some(rows.collect::<Result<_, _>>()?))
    }
}

/// Where the rows of a source come from.
enum Feed {
    /// All behind the place.
    Recent(Option<Place>),
    /// Tables whose keys follow each other, in the order of the scan.
    Tables {
        waiting: vec::IntoIter<SsTableHandle>,
        open: Option<Blocks>,
        ahead: usize,
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

    fn of_tables(mut tables: Vec<SsTableHandle>, reverse: bool) -> Self {
        if reverse {
            tables.reverse();
        }
        Source::new(Feed::Tables {
            waiting: tables.into_iter(),
            open: None,
            ahead: 1,
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
    db: Db,
    tables: Arc<Tables>,
    range: Range,
    newest: u64, // the number of the snapshot
    manifest: u64,
    stored: u64, // the tables hold all batches up to this number
    sources: Vec<Source>,
    current: Option<Row>, // the newest change of a key that may have more of them
}

impl Scan {
    /// A scan of a snapshot of number `newest`, which stays open as long. None: SlateDB alone knows
    /// all that is there.
    pub fn open(
        db: &Db,
        tables: &Arc<Tables>,
        newest: u64,
        bounds: (Bound<&[u8]>, Bound<&[u8]>),
        reverse: bool,
    ) -> Option<Self> {
        let bound = |bound| match bound {
            Bound::Included(key) | Bound::Excluded(key) => Some(Bytes::copy_from_slice(key)),
            Bound::Unbounded => None,
        };
        tables.recent.settle();
        let mut scan = Scan {
            db: db.clone(),
            tables: tables.clone(),
            range: Range {
                lower: bound(bounds.0),
                upper: bound(bounds.1),
                reverse,
            },
            newest,
            manifest: 0,
            stored: 0,
            sources: Vec::new(),
            current: None,
        };
        let manifest = db.manifest();
        let is_plain = tables.recent.is_completed_by(manifest.last_l0_seq())
            && manifest.segments().is_empty()
            && manifest
                .all_sst_views()
                .all(|view| view.visible_range().is_none());
        scan.begin(&manifest);
        is_plain.then_some(scan)
    }

    fn begin(&mut self, manifest: &VersionedManifest) {
        let range = &self.range;
        let wanted = |view: &&SsTableView| {
            let info = &view.sst.info;
            range.touches(info.first_entry.as_ref(), info.last_entry.as_ref())
        };
        let tables = |views: &[SsTableView]| {
            let tables = views.iter().filter(wanted).map(|view| view.sst.clone());
            Source::of_tables(tables.collect(), range.reverse)
        };
        let mut sources = vec![Source::new(Feed::Recent(None))];
        for view in manifest.l0().iter().filter(wanted) {
            sources.push(Source::of_tables(vec![view.sst.clone()], range.reverse));
        }
        for run in manifest.compacted() {
            sources.push(tables(run.sst_views()));
        }
        self.sources = sources;
        self.manifest = manifest.id();
        self.stored = manifest.last_l0_seq();
    }

    /// Goes on with the tables of now, from the first key that is not done. False: they are those
    /// that the scan has already.
    fn begin_anew(&mut self) -> bool {
        let manifest = self.db.manifest();
        if manifest.id() == self.manifest && manifest.last_l0_seq() == self.stored {
            return false;
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
        self.begin(&manifest);
        true
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
                        if !self.begin_anew() {
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
        let (open, waiting, ahead) = match &mut source.feed {
            Feed::Recent(last) => {
                let between = self.range.places(last.take());
                let recent = &self.tables.recent;
                let reverse = self.range.reverse;
                match recent.read(between, reverse, self.newest, self.stored, RECENT_ROWS) {
                    None => {
                        self.begin_anew();
                    }
                    Some((rows, last)) => {
                        source.ended = last.is_none();
                        source.rows = rows.into_iter();
                        source.feed = Feed::Recent(last);
                    }
                }
                return Ok(());
            }
            Feed::Tables {
                waiting,
                open,
                ahead,
            } => (open, waiting, ahead),
        };
        if open.is_none() {
            match waiting.next() {
                None => source.ended = true,
                Some(table) => *open = Some(Blocks::open(&self.tables, table, &self.range).await?),
            }
        } else if let Some(blocks) = open {
            match blocks.next(&self.range, *ahead).await? {
                None => *open = None,
                Some(rows) => source.rows = rows.into_iter(),
            }
            *ahead = (*ahead * 2).min(BLOCKS_AHEAD);
        }
        Ok(())
    }
}
