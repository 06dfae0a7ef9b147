//! The commit protocol as a model, all of whose interleavings are looked at.
//!
//! Two machines with a log each, one table in one bucket. Processes start, die and sleep;
//! a conditional put lands late or never, before or after its sender has given up waiting,
//! has died, or was replaced. What a process does is what `files/delta/commit.rs`,
//! `rewrite.rs`, `epoch.rs` and `recovery.rs` do, step by step; whatever is between two steps
//! there may be torn apart here. Each [`Rules`] with one rule less must be caught, or the
//! model would prove nothing.

use stateright::{Checker, HasDiscoveries, Model, Property};

/// Records that each machine acknowledges.
const ROWS: [u8; 2] = [2, 1];
/// Starts of all processes together.
const STARTS: u8 = 3;
/// Rewrites that are begun.
const REWRITES: u8 = 2;
/// Puts that fail or take too long.
const FAILURES: u8 = 3;

/// What the protocol relies on.
#[derive(Debug, Clone, Copy)]
struct Rules {
    /// Tables count what is flushed for each log.
    counts_each_log: bool,
    /// After an error the log is read, and the position looked at, before the next try.
    looks_again: bool,
    /// A flush gives up where the table is flushed to a position between its own.
    refuses_if_overtaken: bool,
    /// A rewrite looks whether its inputs are all there after a conflict.
    looks_for_inputs: bool,
    /// A put at a version fails where there is one.
    puts_are_conditional: bool,
}

const ALL: Rules = Rules {
    counts_each_log: true,
    looks_again: true,
    refuses_if_overtaken: true,
    looks_for_inputs: true,
    puts_are_conditional: true,
};

/// A row: which machine, which record.
type Row = (u8, u8);

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct File {
    /// Its writer, and the version that this one knew.
    id: (u8, u8),
    rows: Vec<Row>,
}

/// The table after a commit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
struct Version {
    epoch: u8,
    /// The transactions of flushes, by machine.
    flushed: [u8; 2],
    files: Vec<File>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Change {
    Flush { up_to: u8, file: File },
    Rewrite { inputs: Vec<File>, output: File },
}

/// A put on its way.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Flight {
    machine: u8,
    epoch: u8,
    at: u8,
    version: Version,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Process {
    epoch: u8,
    /// Versions that it knows of, and up to where its rows are in files by these.
    known: u8,
    flushed: u8,
    /// What it wants to commit.
    change: Option<Change>,
    /// Whether it waits for an answer, or must read the log before it goes on.
    waits: bool,
    unsure: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
struct Machine {
    /// Records in its log: acknowledged.
    logged: u8,
    process: Option<Process>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
struct Bucket {
    epochs: u8,
    versions: Vec<Version>,
    flights: Vec<Flight>,
    machines: [Machine; 2],
    rewrites: u8,
    failures: u8,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Step {
    Start(u8),
    Die(u8),
    Acknowledge(u8),
    Flush(u8),
    Rewrite(u8),
    /// The put at this place reaches the bucket, and its sender is told if it still waits.
    Lands(u8),
    /// The sender is told of a failure or gives up waiting; the put may still land.
    Fails(u8),
    ReadAgain(u8),
    Retry(u8),
}

struct Protocol {
    rules: Rules,
}

impl Bucket {
    fn newest(&self) -> Version {
        self.versions.last().cloned().unwrap_or_default()
    }

    fn at(&self, known: u8) -> Version {
        known.checked_sub(1).map_or_else(Version::default, |last| self.versions[last as usize].clone())
    }

    fn process(&mut self, machine: u8) -> &mut Process {
        self.machines[machine as usize].process.as_mut().expect("only of those that run")
    }

    fn new_file(&mut self, machine: u8, rows: Vec<Row>) -> File {
        let process = self.process(machine);
        File { id: (process.epoch, process.known), rows }
    }
}

impl Protocol {
    fn flushed(&self, version: &Version, machine: u8) -> u8 {
        match self.rules.counts_each_log {
            true => version.flushed[machine as usize],
            false => version.flushed[0].max(version.flushed[1]),
        }
    }

    /// Puts a commit on its way, on top of the version that the process knows; fenced
    /// processes end. The check and the put are two things: others come in between.
    fn send(&self, state: &mut Bucket, machine: u8) {
        let epochs = state.epochs;
        let process = state.process(machine).clone();
        let mut version = state.at(process.known);
        if version.epoch.max(epochs) > process.epoch {
            state.machines[machine as usize].process = None;
            return;
        }
        if self.rules.puts_are_conditional && state.versions.len() > process.known as usize {
            state.process(machine).unsure = true;
            return;
        }
        version.epoch = process.epoch;
        match process.change.as_ref().expect("only with something to commit") {
            Change::Flush { up_to, file } => {
                version.flushed[machine as usize] = *up_to;
                version.files.push(file.clone());
            }
            Change::Rewrite { inputs, output } => {
                version.files.retain(|file| !inputs.contains(file));
                version.files.push(output.clone());
            }
        }
        state.flights.push(Flight { machine, epoch: process.epoch, at: process.known, version });
        state.process(machine).waits = true;
    }

    fn land(&self, state: &mut Bucket, flight: Flight) {
        state.versions.truncate(flight.at as usize);
        state.versions.push(flight.version);
        if self.rules.puts_are_conditional {
            // Those at this version have failed.
            let versions = state.versions.len();
            state.flights.retain(|flight| flight.at as usize >= versions);
        }
        let sender = state.machines[flight.machine as usize].process.as_mut();
        let Some(process) = sender.filter(|process| process.epoch == flight.epoch && process.waits) else {
            return;
        };
        process.waits = false;
        process.known = flight.at + 1;
        if let Some(Change::Flush { up_to, .. }) = process.change.take() {
            process.flushed = up_to;
        }
    }

    /// After an error: what does the table say?
    fn read_again(&self, state: &mut Bucket, machine: u8) {
        let newest = state.newest();
        let (known, flushed) = (state.versions.len() as u8, self.flushed(&newest, machine));
        let rules = self.rules;
        let process = state.process(machine);
        process.unsure = false;
        process.known = known;
        if !rules.looks_again {
            return;
        }
        let overtaken = match process.change.clone() {
            Some(Change::Flush { up_to, .. }) if flushed >= up_to => {
                process.change = None;
                process.flushed = up_to;
                false
            }
            Some(Change::Flush { .. }) => rules.refuses_if_overtaken && flushed != process.flushed,
            Some(Change::Rewrite { inputs, .. }) => {
                let all = inputs.iter().all(|file| newest.files.contains(file));
                if rules.looks_for_inputs && !all {
                    process.change = None;
                }
                // Its rows may be in files by now though it holds them in memory.
                rules.refuses_if_overtaken && flushed != process.flushed
            }
            None => false,
        };
        if overtaken {
            state.machines[machine as usize].process = None;
        }
    }
}

impl Model for Protocol {
    type State = Bucket;
    type Action = Step;

    fn init_states(&self) -> Vec<Bucket> {
        vec![Bucket::default()]
    }

    fn actions(&self, state: &Bucket, steps: &mut Vec<Step>) {
        for (index, machine) in (0..).zip(&state.machines) {
            let Some(process) = &machine.process else {
                if state.epochs < STARTS {
                    steps.push(Step::Start(index));
                }
                continue;
            };
            steps.push(Step::Die(index));
            if machine.logged < ROWS[index as usize] {
                steps.push(Step::Acknowledge(index));
            }
            match &process.change {
                Some(_) if process.waits && state.failures < FAILURES => steps.push(Step::Fails(index)),
                Some(_) if process.waits => {}
                Some(_) if process.unsure => steps.push(Step::ReadAgain(index)),
                Some(_) => steps.push(Step::Retry(index)),
                None => {
                    if process.flushed < machine.logged {
                        steps.push(Step::Flush(index));
                    }
                    if state.at(process.known).files.len() > 1 && state.rewrites < REWRITES {
                        steps.push(Step::Rewrite(index));
                    }
                }
            }
        }
        steps.extend((0..state.flights.len() as u8).map(Step::Lands));
    }

    fn next_state(&self, last: &Bucket, step: Step) -> Option<Bucket> {
        let mut state = last.clone();
        match step {
            Step::Start(machine) => {
                state.epochs += 1;
                let newest = state.newest();
                state.machines[machine as usize].process = Some(Process {
                    epoch: state.epochs,
                    known: state.versions.len() as u8,
                    flushed: self.flushed(&newest, machine).min(state.machines[machine as usize].logged),
                    change: None,
                    waits: false,
                    unsure: false,
                });
            }
            Step::Die(machine) => state.machines[machine as usize].process = None,
            Step::Acknowledge(machine) => state.machines[machine as usize].logged += 1,
            Step::Flush(machine) => {
                let up_to = state.machines[machine as usize].logged;
                let from = state.process(machine).flushed + 1;
                let file = state.new_file(machine, (from..=up_to).map(|row| (machine, row)).collect());
                state.process(machine).change = Some(Change::Flush { up_to, file });
                self.send(&mut state, machine);
            }
            Step::Rewrite(machine) => {
                state.rewrites += 1;
                let known = state.process(machine).known;
                let inputs = state.at(known).files;
                let rows = inputs.iter().flat_map(|file| file.rows.clone()).collect();
                let output = state.new_file(machine, rows);
                state.process(machine).change = Some(Change::Rewrite { inputs, output });
                self.send(&mut state, machine);
            }
            Step::Lands(at) => {
                let flight = state.flights.remove(at as usize);
                self.land(&mut state, flight);
            }
            Step::Fails(machine) => {
                state.failures += 1;
                let process = state.process(machine);
                (process.waits, process.unsure) = (false, true);
            }
            Step::ReadAgain(machine) => self.read_again(&mut state, machine),
            Step::Retry(machine) => self.send(&mut state, machine),
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(
                "the table has each row of a log up to its transaction once",
                |model: &Self, state: &Bucket| {
                    state.versions.iter().all(|version| {
                        let in_files = |row| count(&version.files, row);
                        rows(state)
                            .all(|row| in_files(row) == usize::from(row.1 <= model.flushed(version, row.0)))
                    })
                },
            ),
            Property::always(
                "a process sees each row that it acknowledged once",
                |_: &Self, state: &Bucket| {
                    rows(state).all(|row| match &state.machines[row.0 as usize].process {
                        Some(process) => {
                            let in_memory = usize::from(row.1 > process.flushed);
                            count(&state.at(process.known).files, row) + in_memory == 1
                        }
                        None => true,
                    })
                },
            ),
            Property::sometimes("all is flushed and merged", |_: &Self, state: &Bucket| {
                let newest = state.newest();
                newest.flushed == ROWS && newest.files.len() == 1
            }),
        ]
    }
}

fn rows(state: &Bucket) -> impl Iterator<Item = Row> {
    let logged = state.machines.each_ref().map(|machine| machine.logged);
    (0..2).flat_map(move |machine| (1..=logged[machine as usize]).map(move |row| (machine, row)))
}

fn count(files: &[File], row: Row) -> usize {
    files.iter().flat_map(|file| &file.rows).filter(|found| **found == row).count()
}

#[test]
fn every_interleaving_of_the_commit_protocol_keeps_each_row_once() {
    let checker = Protocol { rules: ALL }.checker().threads(2).spawn_bfs().join();
    checker.assert_properties();
    eprintln!("protocol: {} states", checker.unique_state_count());
}

#[test]
fn with_any_rule_less_the_model_finds_a_row_lost_or_doubled() {
    let mutants = [
        ("one count for all logs", Rules { counts_each_log: false, ..ALL }),
        ("no second look", Rules { looks_again: false, ..ALL }),
        ("goes on though overtaken", Rules { refuses_if_overtaken: false, ..ALL }),
        ("rewrites what is gone", Rules { looks_for_inputs: false, ..ALL }),
        ("puts that overwrite", Rules { puts_are_conditional: false, ..ALL }),
    ];
    for (name, rules) in mutants {
        let model = Protocol { rules };
        let checker = model.checker().threads(2).finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
        let found = checker.discoveries().into_keys().any(|property| property != "all is flushed and merged");
        assert!(found, "{name}: not caught");
    }
}
