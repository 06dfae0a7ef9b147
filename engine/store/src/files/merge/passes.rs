//! As many inputs at a time as fit into memory, in as many passes as it takes.

use std::collections::VecDeque;

use isinglass_model::Kind;
use isinglass_model::tables::{Column, Table};

use super::batch::Prefix;
use super::budget::Budget;
use super::groups::Ahead;
use super::ha::{Elections, schema_with_replicas, spill};
use super::input::{Opened, Source};
use super::kway::{Kway, Slice};
use super::output::{Folder, Layout, Output};
use super::{MergeOptions, Merged, attributes, plain, rows, samples};
use crate::files::delta::NewFile;
use crate::files::parquet::Values;
use crate::files::{Result, parquet, tokens};
use crate::tables::{AttributeColumn, DataFile};

/// One merge.
pub(super) struct Merge<'a> {
    folder: Folder<'a>,
    options: &'a MergeOptions,
    budget: Budget,
    table: &'static Table,
    counts: Merged,
    /// Files that are there only until the merge ends.
    made: Vec<String>,
}

impl<'a> Merge<'a> {
    pub(super) fn new(folder: Folder<'a>, options: &'a MergeOptions) -> Self {
        Self {
            table: Table::of(folder.kind),
            folder,
            options,
            budget: Budget::of(options.memory_bytes),
            counts: Merged::default(),
            made: Vec::new(),
        }
    }

    pub(super) async fn run(mut self, inputs: &[DataFile]) -> Result<Merged> {
        let sources = inputs
            .iter()
            .map(|file| Source { path: file.path.clone(), size_bytes: file.size_bytes, original: true })
            .collect();
        let files = self.all(sources).await;
        let made = std::mem::take(&mut self.made);
        self.folder.delete(made.iter().map(String::as_str)).await;
        let files = files?;
        let rows_out = files.iter().map(|file| file.extent.rows).sum();
        Ok(Merged { files, rows_out, ..self.counts })
    }

    async fn all(&mut self, mut sources: Vec<Source>) -> Result<Vec<NewFile>> {
        let mut elections = None;
        if let Some(ha) = self.options.ha.as_ref().filter(|_| self.table.kind == Kind::Samples) {
            let (spilled, presence) =
                spill(&mut self.folder, &sources, ha, self.budget, &mut self.made).await?;
            elections = Some(Elections::hold(ha, &presence));
            sources.extend(spilled);
        }
        let mut level: VecDeque<Source> = sources.into();
        while !level.is_empty() {
            let mut next = VecDeque::new();
            while !level.is_empty() {
                let opened = self.open_some(&mut level).await?;
                if level.is_empty() && next.is_empty() {
                    return self.pass(opened, elections.as_ref(), true).await;
                }
                if opened.len() == 1 {
                    next.extend(opened.into_iter().map(|opened| opened.source));
                    continue;
                }
                let read: Vec<String> = opened.iter().filter_map(|file| file.source.made()).collect();
                for NewFile { name, size_bytes, .. } in self.pass(opened, None, false).await? {
                    next.push_back(Source { path: self.folder.path(&name)?, size_bytes, original: false });
                    self.made.push(name);
                }
                // Not all passes of a large merge shall lie on the disk at once.
                self.folder.delete(read.iter().map(String::as_str)).await;
                self.made.retain(|name| !read.contains(name));
            }
            level = next;
        }
        Ok(Vec::new())
    }

    /// Opens as many files as fit, two at least.
    async fn open_some(&mut self, sources: &mut VecDeque<Source>) -> Result<Vec<Opened>> {
        let mut opened = Vec::new();
        let mut floor = 0;
        while let Some(source) = sources.pop_front() {
            let file = Opened::open(self.folder.objects, source, self.table).await?;
            floor += file.floor();
            if floor > self.budget.inputs() && opened.len() >= 2 {
                sources.push_front(file.source);
                break;
            }
            opened.push(file);
        }
        Ok(opened)
    }

    /// Which attributes get a column of their own.
    async fn attributes(&mut self, opened: &[Opened]) -> Result<Vec<AttributeColumn>> {
        let max = self.options.attribute_columns_max;
        let Some(column) = attributes::column(self.table.kind).filter(|_| max > 0) else {
            return Ok(Vec::new());
        };
        let (objects, worker) = (self.folder.objects, self.folder.worker.clone());
        let sample = attributes::sample(objects, &worker, opened, column, self.budget.inputs()).await?;
        Ok(sample.choose(max))
    }

    /// Merges some files: into those of the result, or into one on the way.
    async fn pass(
        &mut self,
        opened: Vec<Opened>,
        elections: Option<&Elections>,
        last: bool,
    ) -> Result<Vec<NewFile>> {
        let level = if last { self.options.zstd_level } else { parquet::FLUSH_ZSTD_LEVEL };
        let columns = self.table.columns.iter();
        let values: Vec<Values> = columns.map(|column| values_of(&opened, column)).collect();
        let (schema, properties) = parquet::layout_of(self.table, level, &values)?;
        let attributes = if last { self.attributes(&opened).await? } else { Vec::new() };
        let properties = parquet::with_attributes(&properties, level, &attributes)?;
        let properties = plain::with_plain(properties, &opened);
        let with_replicas = !last && opened.iter().any(Opened::has_replicas);
        let layout = Layout {
            schema: if with_replicas { schema_with_replicas() } else { schema },
            properties: properties.set_max_row_group_bytes(Some(self.budget.row_group())).build(),
            file_bytes: if last { self.options.file_bytes.max(1) } else { u64::MAX },
            part_bytes: self.budget.part(),
            indexed: tokens::column(self.table.kind).filter(|_| last),
            marked: last && self.table.kind == Kind::Samples,
            attributes,
            sizes: parquet::sizes(self.table.kind),
            ahead: Ahead::of(&opened),
            distinct_max: self.budget.distinct(),
        };
        let share = self.budget.inputs() / opened.len().max(1);
        let (options, table, counts) = (self.options, self.table, &mut self.counts);
        let folder = &self.folder;
        let inputs =
            opened.into_iter().map(|file| file.read(folder.objects, &folder.worker, share)).collect();
        let mut output = Output::new(&mut self.folder, layout);
        let merged = async {
            let kway = Kway::start(inputs).await?;
            match table.kind {
                Kind::Samples => samples::merge(kway, &mut output, options, elections, counts).await?,
                _ => rows::merge(table, kway, &mut output, options, counts).await?,
            }
            output.finish().await
        }
        .await;
        if merged.is_err() {
            output.abandon().await;
        }
        merged
    }
}

/// What the inputs have in a column, as far as their footers tell.
fn values_of(opened: &[Opened], column: &Column) -> Values {
    if !opened.iter().any(|file| file.has(column)) {
        return Values::None;
    }
    let sizes = opened.iter().map(|file| file.dictionary_and_all(column));
    let (dictionaries, all) = sizes.fold((0, 0), |sum, size| (sum.0 + size.0, sum.1 + size.1));
    let distinct = parquet::is_of_items(column) && 4 * dictionaries > all;
    if distinct { Values::Distinct } else { Values::Repeated }
}

/// From which time on rows are kept.
pub(super) struct Kept<'o> {
    table: &'static Table,
    options: &'o MergeOptions,
    /// Of the last prefix that was asked about.
    known: Option<(Prefix, i64)>,
}

impl<'o> Kept<'o> {
    pub(super) fn new(table: &'static Table, options: &'o MergeOptions) -> Self {
        Self { table, options, known: None }
    }

    /// The first row of the slice that is kept.
    pub(super) fn first(&mut self, slice: &Slice) -> usize {
        let from = match &self.known {
            Some((prefix, from)) if *prefix == slice.prefix => *from,
            _ => {
                let rule = self.options.drop_rows.as_ref();
                let own = rule.and_then(|rule| rule.keep_from(slice.prefix.as_group(self.table)));
                let from = self.options.keep_from.max(own).unwrap_or(i64::MIN);
                self.known = Some((slice.prefix.clone(), from));
                from
            }
        };
        let times = &slice.batch.times()[slice.from..slice.to];
        slice.from + times.partition_point(|time| *time < from)
    }
}
