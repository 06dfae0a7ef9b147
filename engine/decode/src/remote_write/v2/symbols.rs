//! The symbol table of a request, and references into it.
//!
//! A symbol is written once and referred to often, so nothing here may cost as much
//! as the symbols that references name: a request of a few megabytes could name
//! terabytes. Each symbol is hashed once, label sets are hashed by those hashes, and
//! whoever reads symbols asks for their length first.

use isinglass_model::counts::ITEM_BYTES_MAX;
use isinglass_model::limits::HardCaps;
use isinglass_model::reason::code;
use isinglass_model::series::Fingerprint;

use crate::item::Fault;
use crate::json_text::write_string;
use crate::schema::{Message, to_json};
use crate::series::fingerprint;
use crate::wire::{self, Field, Reader, WireError};

/// `Request.symbols`
const SYMBOLS: u32 = 4;

/// A name and a value.
type Pair<'a> = (&'a [u8], &'a [u8]);

/// The texts of a request, by number.
pub(super) struct Symbols<'a>(Vec<Symbol<'a>>);

struct Symbol<'a> {
    bytes: &'a [u8],
    hash: u128,
}

impl<'a> Symbols<'a> {
    /// Collects the symbols of a request, wherever in it they stand.
    pub(super) fn read(mut body: Reader<'a>, salt: u64) -> Result<Self, WireError> {
        let mut symbols = Vec::new();
        while let Some(field) = body.next()? {
            if field.number != SYMBOLS {
                continue;
            }
            let bytes = field.bytes()?;
            let fault = |fault| Err(WireError { offset: field.offset, fault });
            if symbols.is_empty() && !bytes.is_empty() {
                return fault(wire::Fault::FirstSymbol);
            }
            if symbols.len() == HardCaps::DEFAULT.symbols_max {
                return fault(wire::Fault::TooManySymbols);
            }
            symbols.push(Symbol { bytes, hash: fingerprint(bytes, salt).0 });
        }
        Ok(Self(symbols))
    }

    /// The text of a symbol.
    pub(super) fn get(&self, symbol: u32) -> Result<&'a [u8], Fault> {
        self.symbol(symbol).map(|symbol| symbol.bytes)
    }

    fn symbol(&self, symbol: u32) -> Result<&Symbol<'a>, Fault> {
        self.0.get(symbol as usize).ok_or_else(|| {
            invalid(format!("symbol {symbol} is referred to, the table has {} symbols", self.0.len()))
        })
    }

    /// Names and values in the order of the references.
    pub(super) fn pairs(&self, refs: &Refs) -> impl Iterator<Item = Result<Pair<'a>, Fault>> {
        refs.list.chunks_exact(2).map(|pair| Ok((self.get(pair[0])?, self.get(pair[1])?)))
    }

    /// Bytes of all names and values.
    pub(super) fn bytes_of(&self, refs: &Refs) -> usize {
        let symbols = refs.list.iter().filter_map(|symbol| self.0.get(*symbol as usize));
        symbols.fold(0, |sum, symbol| sum.saturating_add(symbol.bytes.len()))
    }

    /// The fingerprint of the texts that `refs` name, whatever their numbers are.
    pub(super) fn fingerprint(
        &self,
        refs: &Refs,
        salt: u64,
        scratch: &mut Vec<u8>,
    ) -> Result<Fingerprint, Fault> {
        scratch.clear();
        for symbol in &refs.list {
            scratch.extend_from_slice(&self.symbol(*symbol)?.hash.to_le_bytes());
        }
        Ok(fingerprint(scratch, salt))
    }

    /// A message as JSON for people: its labels as texts, in front of what it says itself.
    #[cold]
    pub(super) fn show(&self, message: &'static Message, reader: Reader<'_>, refs: &Refs) -> String {
        let mut out = br#"{"labels":["#.to_vec();
        for (name, value) in self.pairs(refs).map_while(Result::ok) {
            if out.len() > ITEM_BYTES_MAX {
                break;
            }
            if out.last() == Some(&b'}') {
                out.push(b',');
            }
            out.extend_from_slice(br#"{"name":"#);
            write_string(&mut out, &text(name, ITEM_BYTES_MAX));
            out.extend_from_slice(br#","value":"#);
            write_string(&mut out, &text(value, ITEM_BYTES_MAX));
            out.push(b'}');
        }
        out.push(b']');
        let mut out = String::from_utf8(out).unwrap_or_default();
        let rest = to_json(message, reader);
        out.push_str(if rest == "{}" { "" } else { "," });
        out.push_str(rest.strip_prefix('{').unwrap_or(&rest));
        out
    }
}

/// At most `bytes_max` bytes of a symbol, broken UTF-8 as U+FFFD.
pub(super) fn text(symbol: &[u8], bytes_max: usize) -> String {
    String::from_utf8_lossy(&symbol[..symbol.len().min(bytes_max)]).into_owned()
}

/// `labels_refs`: the numbers of a name, a value, a name, a value…
#[derive(Default)]
pub(super) struct Refs {
    list: Vec<u32>,
    /// How many there are beyond those that a label set may have.
    more: usize,
}

impl Refs {
    const MAX: usize = 2 * HardCaps::DEFAULT.labels_max;

    pub(super) fn clear(&mut self) {
        self.list.clear();
        self.more = 0;
    }

    /// Reads a field, packed or not. A list may come in several fields.
    pub(super) fn read(&mut self, field: &Field<'_>) -> Result<(), WireError> {
        field.varints(|symbol| {
            if self.list.len() < Self::MAX {
                // A number of more than 32 bits is outside of every table.
                self.list.push(u32::try_from(symbol).unwrap_or(u32::MAX));
            } else {
                self.more += 1;
            }
        })
    }

    /// Checks their number.
    pub(super) fn check(&self) -> Result<(), Fault> {
        let count = self.list.len() + self.more;
        if count % 2 != 0 {
            return Err(invalid(format!("{count} references make no pairs of name and value")));
        }
        if self.more > 0 {
            let (labels, max) = (count / 2, HardCaps::DEFAULT.labels_max);
            let message = format!("{labels} labels, the limit is {max}");
            return Err(Fault::new(code::MAX_LABEL_NAMES_PER_SERIES, message));
        }
        Ok(())
    }

    /// How many labels they name.
    pub(super) fn labels(&self) -> usize {
        self.list.len() / 2
    }

    /// The number of the value of the first label for which `wanted` is true of the
    /// name's number.
    pub(super) fn value_of(&self, wanted: impl Fn(u32) -> bool) -> Option<u32> {
        self.list.chunks_exact(2).find(|pair| wanted(pair[0])).map(|pair| pair[1])
    }
}

#[cold]
fn invalid(message: impl Into<String>) -> Fault {
    Fault::new(code::SYMBOL_REFS_INVALID, message)
}
