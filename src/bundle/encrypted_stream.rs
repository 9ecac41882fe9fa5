//! Decrypts files of any size in age's format, a piece at a time: backups do not fit into memory.

use std::cell::RefCell;
use std::io::{self, BufRead, Chain, Cursor, ErrorKind, Read};
use std::rc::Rc;

use age::Decryptor;
use age::stream::StreamReader;

use super::encryption::{self, DecryptError, Identity, MAX_HEADER, PASSPHRASE};

/// Errors of decrypting a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// It is not in age's format.
    #[error("it is not encrypted with age")]
    NotEncrypted,
    /// It is armored (text for mail).
    #[error("it is armored")]
    Armored,
    /// Its header is not valid.
    #[error("its header is damaged, truncated, or of a later version of age")]
    Header,
    /// It is encrypted with a passphrase, and another identity was given.
    #[error("it is encrypted with a passphrase")]
    PassphraseNeeded,
    /// It is encrypted to keys, and none of them was given.
    #[error("it is encrypted to {}", .kinds.join(", "))]
    KeyNeeded {
        /// The recipients' types in words.
        kinds: Vec<String>,
    },
    /// The passphrase is another one.
    #[error("the passphrase is wrong")]
    WrongPassphrase,
    /// Its passphrase takes much longer to check than one of clusterctl's.
    #[error("its passphrase was made so costly to check that it takes longer than a minute")]
    TooMuchWork,
    /// The file is truncated, or was changed.
    #[error("it is truncated, or was changed after it was encrypted")]
    Damaged,
    /// The file cannot be read.
    #[error("it cannot be read: {0}")]
    Read(String),
}

/// An encrypted file whose header was read.
pub struct EncryptedInput<R> {
    kinds: Vec<String>,
    input: WithHead<R>,
}

/// A file whose beginning was read already.
type WithHead<R> = Chain<Cursor<Vec<u8>>, R>;

impl<R: BufRead> EncryptedInput<R> {
    /// Reads the header of a file.
    ///
    /// # Errors
    /// Returns an error if the file is not encrypted, or the header is damaged.
    pub fn open(mut input: R) -> Result<Self, StreamError> {
        let mut head = Vec::new();
        let read = input.by_ref().take(MAX_HEADER as u64).read_to_end(&mut head);
        read.map_err(|error| StreamError::Read(error.to_string()))?;
        if !encryption::is_encrypted(&head) {
            return Err(StreamError::NotEncrypted);
        }
        let kinds = encryption::recipients(&head).map_err(|error| match error {
            DecryptError::Armored => StreamError::Armored,
            _ => StreamError::Header,
        })?;
        Ok(Self { kinds, input: Cursor::new(head).chain(input) })
    }

    /// Returns true if it is encrypted with a passphrase.
    #[must_use]
    pub fn needs_passphrase(&self) -> bool {
        self.kinds.iter().any(|kind| kind == PASSPHRASE)
    }

    /// Begins to decrypt it with one of the keys of `identity`, or its passphrase.
    ///
    /// # Errors
    /// Returns an error if none of them is a recipient's, or the header was changed.
    pub fn decrypt(self, identity: &Identity) -> Result<DecryptedStream<WithHead<R>>, StreamError> {
        let needs_passphrase = self.needs_passphrase();
        let Self { kinds, input } = self;
        let failed = |error: age::DecryptError| match error {
            age::DecryptError::NoMatchingKeys if needs_passphrase => StreamError::PassphraseNeeded,
            age::DecryptError::NoMatchingKeys => StreamError::KeyNeeded { kinds: kinds.clone() },
            age::DecryptError::DecryptionFailed | age::DecryptError::KeyDecryptionFailed if needs_passphrase => {
                StreamError::WrongPassphrase
            }
            age::DecryptError::ExcessiveWork { .. } => StreamError::TooMuchWork,
            age::DecryptError::DecryptionFailed
            | age::DecryptError::KeyDecryptionFailed
            | age::DecryptError::InvalidMac
            | age::DecryptError::Io(_) => StreamError::Damaged,
            _ => StreamError::Header,
        };
        let decryptor = Decryptor::new_buffered(input).map_err(failed)?;
        let inner = decryptor.decrypt(identity.keys()).map_err(failed)?;
        Ok(DecryptedStream { inner, failure: Failure::default() })
    }
}

/// Why a stream ended early; shared with the code that reads the stream through other readers.
#[derive(Debug, Clone, Default)]
pub struct Failure(Rc<RefCell<Option<StreamError>>>);

impl Failure {
    /// Returns the error, if there was one.
    #[must_use]
    pub fn take(&self) -> Option<StreamError> {
        self.0.borrow_mut().take()
    }
}

/// The content of an encrypted file. What was read is authentic as far as it was read; only at the end it is known that it is
/// complete.
pub struct DecryptedStream<R> {
    inner: StreamReader<R>,
    failure: Failure,
}

impl<R> DecryptedStream<R> {
    /// Returns where an error of reading is kept.
    #[must_use]
    pub fn failure(&self) -> Failure {
        self.failure.clone()
    }
}

impl<R: Read> Read for DecryptedStream<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buffer).inspect_err(|error| {
            let found = match error.kind() {
                ErrorKind::InvalidData | ErrorKind::UnexpectedEof => StreamError::Damaged,
                _ => StreamError::Read(error.to_string()),
            };
            self.failure.0.borrow_mut().get_or_insert(found);
        })
    }
}
