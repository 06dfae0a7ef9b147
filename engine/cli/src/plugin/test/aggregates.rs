//! Aggregates as queries ask for them: groups spread over batches, states merged.

use isinglass_chain::rehearsal::PlayedFunction;
use isinglass_model::columns::TextBuffers;
use isinglass_model::functions::States;
use rand::Rng as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;

use super::calls::{Call, Given, chosen};
use super::cells::{self, Cell};
use super::ways::Way;

/// As queries do it: each batch numbers the groups that it has by itself, and states are merged in
/// any order and number of steps (`merging`).
pub(super) fn given(
    function: PlayedFunction<'_>,
    call: &Call,
    columns: &[Vec<Cell>],
    way: &Way,
    merging: Option<StdRng>,
) -> anyhow::Result<Given> {
    let mut parts = Vec::new();
    for rows in &way.batches {
        let arguments = chosen(function, columns, rows)?;
        let (groups, of_row) = groups_of(call, rows);
        match function.accumulate(groups.len(), &of_row, rows.len(), &arguments) {
            Ok(states) => parts.push(renumbered(states, &groups)),
            Err(fault) => return Ok(Err(fault)),
        }
    }
    let count = call.group_count();
    let value = merged(function, count, parts, merging).and_then(|states| function.finish(&states));
    Ok(match value {
        Ok(column) => Ok(cells::read(&column)?),
        Err(fault) => Err(fault),
    })
}

/// The groups that some rows have, by first use, and which of them each row has.
fn groups_of(call: &Call, rows: &[usize]) -> (Vec<u32>, Vec<u32>) {
    if call.groups.is_empty() {
        return (vec![0], Vec::new());
    }
    let mut groups = Vec::new();
    let mut of_row = Vec::with_capacity(rows.len());
    for row in rows {
        let group = call.groups[*row];
        let known = groups.iter().position(|known| *known == group);
        let at = known.unwrap_or_else(|| {
            groups.push(group);
            groups.len() - 1
        });
        // No more groups than rows of a case.
        of_row.push(at as u32);
    }
    (groups, of_row)
}

fn renumbered(states: States, groups: &[u32]) -> States {
    let number = |group: &u32| groups.get(*group as usize).copied().unwrap_or(0);
    States { groups: states.groups.iter().map(number).collect(), bytes: states.bytes }
}

/// One state per group, in their order.
fn merged(
    function: PlayedFunction<'_>,
    count: usize,
    mut parts: Vec<States>,
    merging: Option<StdRng>,
) -> Result<States, String> {
    if let Some(mut random) = merging {
        while parts.len() > 1 {
            parts.shuffle(&mut random);
            let some = parts.split_off(parts.len() - random.random_range(2..=parts.len()));
            parts.push(function.merge(count, &joined(&some))?);
        }
    }
    let all = joined(&parts);
    let in_order = all.groups.len() == count && all.groups.iter().zip(0..).all(|(group, at)| *group == at);
    if in_order { Ok(all) } else { function.merge(count, &all) }
}

fn joined(parts: &[States]) -> States {
    let (mut groups, mut offsets, mut data) = (Vec::new(), vec![0_i32], Vec::new());
    for States { groups: of_part, bytes } in parts {
        groups.extend_from_slice(of_part);
        // Byte strings of a case are few.
        let base = data.len() as i32 - bytes.offsets.first().copied().unwrap_or(0);
        offsets.extend(bytes.offsets.iter().skip(1).map(|end| base + end));
        data.extend_from_slice(&bytes.data);
    }
    States { groups, bytes: TextBuffers { offsets: offsets.into(), data: data.into() } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_batch_numbers_its_own_groups() {
        let call = toml::from_str::<Call>(
            "function = \"f\"\narguments = [[1, 2, 3, 4]]\ngroups = [2, 0, 2, 1]\nreturns = [1, 2, 3]",
        );
        assert_eq!(groups_of(&call.unwrap(), &[3, 0, 2]), (vec![1, 2], vec![0, 1, 1]));
    }
}
