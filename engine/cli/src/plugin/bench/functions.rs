//! What functions cost: a scalar one a call, an aggregate all that a query asks of it, in groups.

use anyhow::Context as _;
use isinglass_chain::World;
use isinglass_chain::inspect::WantedColumn;
use isinglass_chain::rehearsal::{PlayedFunction, Player};
use isinglass_model::columns::{Column, Columns, Encoding, Shape};

use super::{Line, made_up};
use crate::plugin::test::{self, Cell};

const GROUPS: u32 = 10;

/// Arguments as a batch, for the plugin that looks at nothing.
struct Arguments {
    rows: usize,
    columns: Vec<Column>,
}

impl Columns for Arguments {
    fn shape(&self) -> Shape {
        Shape::Samples
    }

    fn rows(&self) -> usize {
        self.rows
    }

    fn column(&self, name: &str, _: Encoding) -> Option<Column> {
        self.columns.get(name.parse::<usize>().ok()?).cloned()
    }

    fn bytes(&self) -> usize {
        0
    }
}

/// Calls every function with arguments of its cases, or made-up ones.
pub(super) fn measure(
    player: Player<'_>,
    of_cases: &[(String, Vec<Vec<Cell>>)],
    sizes: &[u32],
    line: Line<'_>,
) -> anyhow::Result<()> {
    for signature in player.functions() {
        let function = player.function(&signature.name, test::NOW).context("it is listed")?;
        let of_case = of_cases.iter().find(|(name, _)| *name == signature.name);
        let cells = of_case.map_or_else(|| made_up::arguments(signature), |(_, cells)| cells.clone());
        let wanted = (0..cells.len()).map(|at| WantedColumn {
            shape: Shape::Samples,
            name: at.to_string(),
            encoding: Encoding::Values,
            optional: false,
        });
        let noop = super::noop(&wanted.collect::<Vec<_>>())?;
        let border = noop.player(0).map_err(|error| anyhow::anyhow!("{error}"))?;
        for rows in sizes {
            let batch = arguments(function, &cells, *rows as usize)?;
            let groups: Vec<u32> = (0..*rows).map(|row| row % GROUPS).collect();
            let whole = super::nanos_a_row(player, *rows, || call(function, &batch, &groups))?;
            let border = super::nanos_a_row(border, *rows, || super::call(border, World::Validator, &batch))?;
            line(&signature.name, *rows, whole, border)?;
        }
    }
    Ok(())
}

fn arguments(function: PlayedFunction<'_>, cells: &[Vec<Cell>], rows: usize) -> anyhow::Result<Arguments> {
    let column =
        |(ty, cells): (_, &Vec<Cell>)| test::column(ty, &cells.iter().cycle().take(rows).collect::<Vec<_>>());
    let types = function.signature().arguments.iter().copied();
    let columns = types.zip(cells).map(column).collect::<anyhow::Result<Vec<_>>>()?;
    Ok(Arguments { rows, columns })
}

fn call(function: PlayedFunction<'_>, of: &Arguments, groups: &[u32]) -> anyhow::Result<()> {
    let done = match function.signature().aggregate {
        false => function.call(of.rows, &of.columns).map(drop),
        true => function
            .accumulate(GROUPS as usize, groups, of.rows, &of.columns)
            .and_then(|states| function.merge(GROUPS as usize, &states))
            .and_then(|states| function.finish(&states))
            .map(drop),
    };
    done.map_err(|fault| anyhow::anyhow!("{} failed: {fault}", function.signature().name))
}
