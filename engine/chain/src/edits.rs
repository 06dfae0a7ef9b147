//! What transformers answer: lifted text becomes texts. Whether an edit fits the batch is
//! checked where it is made (`isinglass_model::edits`).

use isinglass_model::edits::{Additions, Edits, NumberEdits, PairEdits, Pairs, Pool, TextEdits, Texts};

use crate::abi::{
    AdditionsOut, EditsOut, NumberEditsOut, PairEditsOut, PairsOut, TextEditsOut, TextOut, TextsOut,
    VerdictsOut,
};
use crate::failure::Failure;
use crate::verdicts;

/// Checks the answer to a call of `rows` rows: which of them are dropped, and what changes.
pub(crate) fn check(out: EditsOut, rows: usize) -> Result<(Option<VerdictsOut>, Edits), Failure> {
    let EditsOut { drops, reasons, texts, numbers, pairs } = out;
    let drops = verdicts::check(VerdictsOut { rows: drops, reasons }, rows)?;
    let edits = Edits {
        texts: texts.into_iter().map(text_edits).collect::<Result<_, _>>()?,
        numbers: numbers.into_iter().map(number_edits).collect(),
        pairs: pairs.into_iter().map(pair_edits).collect::<Result<_, _>>()?,
    };
    Ok((drops, edits))
}

fn pool(out: TextOut) -> Result<Pool, Failure> {
    Pool::new(&out.offsets, out.data).map_err(Failure::contract)
}

fn texts(out: TextsOut) -> Result<Texts, Failure> {
    Ok(Texts { at: out.at, keys: out.keys, pool: pool(out.values)? })
}

fn text_edits(out: TextEditsOut) -> Result<TextEdits, Failure> {
    Ok(TextEdits { column: out.column, texts: texts(out.texts)?, nulls: out.nulls })
}

fn number_edits(out: NumberEditsOut) -> NumberEdits {
    let NumberEditsOut { column, at, values, nulls } = out;
    NumberEdits { column, at, values, nulls }
}

fn pair_edits(out: PairEditsOut) -> Result<PairEdits, Failure> {
    let of = match out.of {
        PairsOut::Attributes => Pairs::Attributes,
        PairsOut::Resource => Pairs::Resource,
        PairsOut::Scope => Pairs::Scope,
        PairsOut::Events => Pairs::Events,
        PairsOut::Links => Pairs::Links,
        PairsOut::Labels => Pairs::Labels,
    };
    let AdditionsOut { rows, names, texts: of_rows, values } = out.added;
    Ok(PairEdits {
        of,
        removed: out.removed,
        renamed: texts(out.renamed)?,
        changed: texts(out.changed)?,
        added: Additions { rows, names, texts: of_rows, pool: pool(values)? },
    })
}
