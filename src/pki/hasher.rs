//! SHA-256 of data that is too large to be in memory at once.

use std::io::{self, Write};

use ring::digest;

use super::fingerprint::Fingerprint;

/// Computes the SHA-256 of everything that is written to it.
pub struct Hasher(digest::Context);

impl Default for Hasher {
    fn default() -> Self {
        Self(digest::Context::new(&digest::SHA256))
    }
}

impl Hasher {
    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Returns the digest.
    #[must_use]
    pub fn finish(self) -> Fingerprint {
        let mut out = [0; 32];
        out.copy_from_slice(self.0.finish().as_ref());
        Fingerprint::from_bytes(out)
    }
}

impl Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_have_the_digest_of_the_whole() {
        let mut hasher = Hasher::default();
        [b"on".as_slice(), b"", b"e"].into_iter().for_each(|piece| hasher.update(piece));
        assert_eq!(hasher.finish(), Fingerprint::of(b"one"));
    }
}
