//! Split-block Bloom filters, as Parquet describes them, but with XXH3 for a hash.
//!
//! A filter consists of stripes of 32 bytes, a power of two of them. A token falls into one
//! stripe by the upper half of its hash and sets 8 of its bits by the lower half. Because
//! the stripe is the hash's first bits, a filter of half the size has for its stripes the
//! union of two neighbours each, and one of twice the size each stripe twice.

/// The 256 bits that one token can set bits of.
pub(super) type Stripe = [u32; 8];

/// Bytes of a stripe.
pub(super) const STRIPE_BYTES: usize = 32;

/// Stripes of the largest filter.
pub(super) const STRIPES_MAX: usize = 128;

/// Tokens of which a filter of the largest size takes one in 100 others to be among them:
/// 9.68 bits each.
pub(super) const TOKENS_MAX: usize = 3_384;

const SALT: [u32; 8] =
    [0x47b6_137b, 0x4497_4d91, 0x8824_ad5b, 0xa2b7_289d, 0x7054_95c7, 0x2df1_424b, 0x9efc_4947, 0x5c6b_fb31];

/// The bits that a token sets in its stripe.
pub(super) fn mask(hash: u64) -> Stripe {
    let key = hash as u32;
    SALT.map(|salt| 1 << (key.wrapping_mul(salt) >> 27))
}

/// Which of so many stripes, a power of two, a token falls into.
pub(super) fn stripe_of(hash: u64, stripes: usize) -> usize {
    (((hash >> 32) * stripes as u64) >> 32) as usize
}

/// A filter of the largest size that is being filled.
#[derive(Debug)]
pub(super) struct Filter {
    stripes: Box<[Stripe; STRIPES_MAX]>,
    tokens: usize,
}

impl Filter {
    pub(super) fn new() -> Self {
        Self { stripes: Box::new([Stripe::default(); STRIPES_MAX]), tokens: 0 }
    }

    #[inline]
    pub(super) fn insert(&mut self, hash: u64) {
        let stripe = &mut self.stripes[stripe_of(hash, STRIPES_MAX)];
        let mut new = 0;
        for (word, bit) in stripe.iter_mut().zip(mask(hash)) {
            new |= bit & !*word;
            *word |= bit;
        }
        self.tokens += usize::from(new != 0);
    }

    /// Different tokens, less the few that it could not tell from others.
    pub(super) fn tokens(&self) -> usize {
        self.tokens
    }

    /// The filter in the smallest size that serves its tokens. It is empty after.
    pub(super) fn take(&mut self) -> Vec<Stripe> {
        let wanted = (self.tokens * STRIPES_MAX).div_ceil(TOKENS_MAX).clamp(1, STRIPES_MAX);
        let folded = fold(&*self.stripes, wanted.next_power_of_two());
        self.stripes.fill(Stripe::default());
        self.tokens = 0;
        folded
    }
}

/// The filter in this size or, if it is smaller, in its own.
pub(super) fn fold(filter: &[Stripe], stripes: usize) -> Vec<Stripe> {
    let together = (filter.len() / stripes).max(1);
    let union = |some: &[Stripe]| {
        some.iter().fold(Stripe::default(), |mut union, stripe| {
            union.iter_mut().zip(stripe).for_each(|(word, more)| *word |= more);
            union
        })
    };
    filter.chunks(together).map(union).collect()
}
