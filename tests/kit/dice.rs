//! Numbers without a short period, the same ones for the same seed.

/// Its state must not be 0.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    /// Of any seed; near ones have nothing in common.
    pub(crate) fn new(seed: u64) -> Self {
        let mut this = Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        (0..4).for_each(|_| _ = this.next());
        this
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        (self.next() >> 11) % sides
    }
}
