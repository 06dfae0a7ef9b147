//! Spans as edges, or as halves of edges.

use isinglass_plugin::{Derived, Exponential, Halves, Label, LabelValues, Table, TextData};

use super::sets::{Class, Role, Set, Sets};
use super::{Graph, Ids};
use crate::Spans;
use crate::dimensions::Dimension;
use crate::weights::Weights;

/// No edge.
const NONE: u32 = u32::MAX;

/// Rows per turn of a loop.
const STEP: usize = 8;

/// What the spans of a batch give.
pub(super) struct Edges<'a> {
    sets: &'a Sets<'a>,
    spans: &'a Spans<'a>,
    ids: &'a Ids<'a>,
    weights: &'a Weights,
    halves: Halves,
    /// The edge of each label set that needs no other half.
    edge_of_set: Vec<u32>,
    /// The set of each edge.
    edges: Vec<u32>,
    /// Rows that are such an edge, and which.
    rows: Vec<u32>,
    of: Vec<u32>,
    failed: Vec<bool>,
}

impl<'a> Edges<'a> {
    pub(super) fn of(
        sets: &'a Sets<'a>,
        spans: &'a Spans<'a>,
        ids: &'a Ids<'a>,
        weights: &'a Weights,
    ) -> Self {
        Self {
            sets,
            spans,
            ids,
            weights,
            halves: Halves::default(),
            edge_of_set: vec![NONE; sets.sets.len()],
            edges: Vec::new(),
            rows: Vec::new(),
            of: Vec::new(),
            failed: Vec::new(),
        }
    }

    pub(super) fn take_all(&mut self) {
        if !self.sets.classes.iter().any(|class| class.flags & Class::SIDE != 0) {
            return;
        }
        let (halves, edges) = self.divide();
        edges.into_iter().for_each(|row| self.take_edge(row));
        self.take_halves(halves);
    }

    /// Rows that are halves, and rows that are edges. Kinds of spans follow each other as they
    /// like, so nothing here depends on a branch.
    fn divide(&self) -> (Vec<u32>, Vec<u32>) {
        let rows = self.spans.rows;
        let (mut halves, mut edges) = (vec![0_u32; rows], vec![0_u32; rows]);
        let (mut of_halves, mut of_edges) = (0, 0);
        let mut put = |row: usize, class: u32, has_parent: bool| {
            let flags = self.sets.classes[class as usize].flags;
            let side = flags & Class::SIDE != 0;
            let root = (flags & Halves::SECOND != 0) & !has_parent;
            let edge = side & ((flags & Class::WHOLE != 0) | root);
            (halves[of_halves], edges[of_edges]) = (row as u32, row as u32);
            of_halves += usize::from(side & !edge);
            of_edges += usize::from(edge);
        };
        let parent = self.ids.parent.map(|parent| parent.validity());
        let has_parent = |row| parent.is_some_and(|valid| valid.is_valid(row));
        let full = parent.is_some_and(|valid| valid.is_full());
        let (steps, rest) = self.sets.ids().as_chunks::<STEP>();
        for (number, classes) in steps.iter().enumerate() {
            for (at, class) in classes.iter().enumerate() {
                let row = number * STEP + at;
                put(row, *class, full || has_parent(row));
            }
        }
        for (at, class) in rest.iter().enumerate() {
            let row = steps.len() * STEP + at;
            put(row, *class, full || has_parent(row));
        }
        halves.truncate(of_halves);
        edges.truncate(of_edges);
        (halves, edges)
    }

    fn take_halves(&mut self, rows: Vec<u32>) {
        let mut halves = Halves::with_capacity(rows.len());
        let (classes, of_rows) = (&self.sets.classes, self.sets.ids());
        let class = |row: u32| classes[of_rows[row as usize] as usize];
        let trace = self.ids.trace.rows();
        let own = self.ids.span.rows();
        // Without a column of parents no row is a second half.
        let spans = [own, self.ids.parent.map_or(own, |parent| parent.rows())];
        let key = |row: u32| {
            let mut key = [0; 24];
            let second = usize::from(class(row).flags & Halves::SECOND);
            key[..16].copy_from_slice(&trace[row as usize]);
            key[16..].copy_from_slice(&spans[second][row as usize]);
            key
        };
        let value = |row: u32| self.spans.duration.values()[row as usize].max(0) as f64 / 1e9;
        let flags = |row: u32| class(row).flags & (Halves::SECOND | Halves::MARKED | Halves::ALONE);
        let (steps, rest) = rows.as_chunks::<STEP>();
        for rows in steps {
            halves.keys.extend_from_slice(rows.map(key).as_flattened());
            halves.flags.extend_from_slice(&rows.map(flags));
            halves.values.extend_from_slice(&rows.map(value));
            halves.sets.extend_from_slice(&rows.map(|row| class(row).set));
        }
        for row in rest {
            halves.keys.extend_from_slice(&key(*row));
            halves.flags.push(flags(*row));
            halves.values.push(value(*row));
            halves.sets.push(class(*row).set);
        }
        if let Some(time) = self.ids.time {
            let time = |row: &u32| self.time(*row as usize, class(*row), time.values()[*row as usize]);
            halves.times = rows.iter().map(time).collect();
        }
        if let Some(weights) = self.weights.all() {
            halves.weights = rows.iter().map(|row| weights[*row as usize]).collect();
        }
        halves.rows = rows;
        self.halves = halves;
    }

    /// When a message was sent, or taken; 0 for what is none.
    fn time(&self, row: usize, class: Class, start: i64) -> i64 {
        let role = self.sets.sets[class.set as usize].role;
        match (role.is_message(), role.is_second()) {
            (false, _) => 0,
            (true, true) => start,
            (true, false) => start.saturating_add(self.spans.duration.values()[row].max(0)),
        }
    }

    /// A span that is an edge without another.
    fn take_edge(&mut self, row: u32) {
        let class = self.sets.classes[self.sets.ids()[row as usize] as usize];
        let edge = &mut self.edge_of_set[class.set as usize];
        if *edge == NONE {
            *edge = self.edges.len() as u32;
            self.edges.push(class.set);
        }
        self.of.push(*edge);
        self.rows.push(row);
        self.failed.push(class.flags & Halves::MARKED != 0);
    }

    pub(super) fn write(mut self, graph: &Graph, dimensions: &[Dimension<'_>], derived: &mut Derived) {
        let sets = &self.sets.sets;
        let mut halves = std::mem::take(&mut self.halves);
        if !halves.rows.is_empty() {
            halves.set_count = sets.len() as u32;
            let all: Vec<&Set> = sets.iter().collect();
            halves.labels = self.own_labels(graph, &all, dimensions);
            halves.alone = alone_labels(graph, &all);
            derived.halves = halves;
        }
        if !self.edges.is_empty() {
            derived.tables.push(self.table(graph, dimensions));
        }
    }

    /// Labels that the sides of calls bring.
    fn own_labels(&self, graph: &Graph, sets: &[&Set], dimensions: &[Dimension<'_>]) -> Vec<Label> {
        let service = |set: &Set, second: bool| match set.role.is_second() == second {
            true => self.spans.service.get(set.row).unwrap_or_default().to_owned(),
            false => String::new(),
        };
        let message =
            |set: &Set| if set.role.is_message() { "messaging_system".to_owned() } else { String::new() };
        let mut labels = vec![
            label("client", sets, |set| service(set, false)),
            label("server", sets, |set| service(set, true)),
            label("connection_type", sets, message),
        ];
        for Dimension { name, values } in dimensions {
            if !graph.settings.prefix {
                labels.push(label(name, sets, |set| values.text(set.row).into_owned()));
                continue;
            }
            for (side, second) in [("client", false), ("server", true)] {
                let text = |set: &Set| match set.role.is_second() == second {
                    true => values.text(set.row).into_owned(),
                    false => String::new(),
                };
                labels.push(label(&format!("{side}_{name}"), sets, text));
            }
        }
        labels
    }

    /// The edges that are known at once: calls of databases, and of servers by users.
    fn table(&self, graph: &Graph, dimensions: &[Dimension<'_>]) -> Table {
        let sets: Vec<&Set> = self.edges.iter().map(|set| &self.sets.sets[*set as usize]).collect();
        let mut table = Table::of(sets.len());
        let other = |set: &Set, own: &str| match (set.role.is_second(), &set.database) {
            (true, _) if own == "client" => "user".to_owned(),
            (false, Some(database)) if own == "server" => database.clone(),
            _ => self.spans.service.get(set.row).unwrap_or_default().to_owned(),
        };
        let kind = |set: &Set| if set.role.is_second() { "virtual_node" } else { "database" }.to_owned();
        let mut labels = vec![
            label("client", &sets, |set| other(set, "client")),
            label("server", &sets, |set| other(set, "server")),
            label("connection_type", &sets, kind),
        ];
        labels.extend(self.own_labels(graph, &sets, dimensions).into_iter().skip(labels.len()));
        if graph.settings.virtual_node_label {
            let node = |set: &Set| if set.role.is_second() { "client".to_owned() } else { String::new() };
            labels.push(label("virtual_node", &sets, node));
        }
        for Label { name, keys, values } in labels {
            table.deltas.push_label(&name, keys, values);
        }
        self.add_up(graph, &sets, &mut table);
        table
    }

    fn add_up(&self, graph: &Graph, sets: &[&Set], table: &mut Table) {
        let count = sets.len();
        let buckets = graph.form.buckets();
        let width = buckets.map_or(0, |buckets| buckets.count());
        let (mut total, mut failed, mut sums) = (vec![0.0; count], vec![0.0; count], vec![0.0; count]);
        let mut counts = vec![0.0; count * width];
        let mut last = vec![NONE; count];
        let durations: Vec<i64> =
            self.rows.iter().map(|row| self.spans.duration.values()[*row as usize].max(0)).collect();
        let weights: Option<Vec<f64>> =
            self.weights.all().map(|all| self.rows.iter().map(|row| all[*row as usize]).collect());
        for (at, (row, edge)) in self.rows.iter().zip(&self.of).enumerate() {
            let (edge, nanos) = (*edge as usize, durations[at]);
            let weight = weights.as_ref().map_or(1.0, |weights| weights[at]);
            total[edge] += weight;
            failed[edge] += if self.failed[at] { weight } else { 0.0 };
            sums[edge] += nanos as f64 * weight;
            if let Some(buckets) = buckets {
                counts[edge * width + buckets.of(nanos)] += weight;
            }
            last[edge] = *row;
        }
        // Nobody saw the client of a user's call.
        let is_seen = |edge: usize| sets[edge].role == Role::Client;
        let numbers = &graph.numbers;
        let exponential = graph.form.exponential(count, &self.of, &durations, weights.as_deref());
        let seen = Seen { is_seen: &is_seen, width };
        let clients = (seen.sums(&sums), seen.counts(&counts), seen.exponential(&exponential));
        table.histograms.push(graph.form.increments(
            numbers.server,
            sums.iter().copied(),
            counts,
            exponential,
        ));
        table.histograms.push(graph.form.increments(
            numbers.client,
            clients.0.into_iter(),
            clients.1,
            clients.2,
        ));
        for (edge, row) in last.iter().enumerate().filter(|_| graph.exemplars) {
            let value = graph.form.value(self.spans.duration.values()[*row as usize].max(0) as f64);
            table.deltas.exemplar(numbers.server, edge as u32, value, *row);
            if is_seen(edge) {
                table.deltas.exemplar(numbers.client, edge as u32, value, *row);
            }
        }
        table.deltas.counter(numbers.total, total);
        table.deltas.counter(numbers.failed, failed);
        if let Some(info) = numbers.info {
            table.gauge(info, vec![1.0; count]);
        }
    }
}

/// Takes out what no client saw.
struct Seen<'a> {
    is_seen: &'a dyn Fn(usize) -> bool,
    width: usize,
}

impl Seen<'_> {
    fn sums(&self, sums: &[f64]) -> Vec<f64> {
        let sum = |(edge, sum): (usize, &f64)| if (self.is_seen)(edge) { *sum } else { 0.0 };
        sums.iter().enumerate().map(sum).collect()
    }

    fn counts(&self, counts: &[f64]) -> Vec<f64> {
        let count =
            |(at, count): (usize, &f64)| if (self.is_seen)(at / self.width.max(1)) { *count } else { 0.0 };
        counts.iter().enumerate().map(count).collect()
    }

    fn exponential(&self, all: &Exponential) -> Exponential {
        let mut seen =
            Exponential { scale: all.scale, zeros: self.sums(&all.zeros), ..Exponential::default() };
        for ((series, index), count) in all.series.iter().zip(&all.index).zip(&all.count) {
            if (self.is_seen)(*series as usize) {
                seen.series.push(*series);
                seen.index.push(*index);
                seen.count.push(*count);
            }
        }
        seen
    }
}

/// Labels of clients whose server sends no spans.
fn alone_labels(graph: &Graph, sets: &[&Set]) -> Vec<Label> {
    let given = |text: &'static str| {
        move |set: &Set| if set.peer.is_empty() { String::new() } else { text.to_owned() }
    };
    let mut labels = vec![
        label("server", sets, |set| set.peer.clone()),
        label("connection_type", sets, given("virtual_node")),
    ];
    if graph.settings.virtual_node_label {
        labels.push(label("virtual_node", sets, given("server")));
    }
    labels
}

/// A label with a value per set.
fn label(name: &str, sets: &[&Set], value: impl Fn(&Set) -> String) -> Label {
    let mut values = TextData::default();
    sets.iter().for_each(|set| values.push(&value(set)));
    Label { name: name.to_owned(), keys: (0..sets.len() as u32).collect(), values: LabelValues::Own(values) }
}
