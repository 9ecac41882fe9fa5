//! The state of an item on a page: its colour and its sign.

/// The state of an item on a page. The worst is the greatest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) enum Tone {
    /// There is nothing to do.
    #[default]
    Good,
    /// It is not known.
    Unknown,
    /// It needs attention.
    Soon,
    /// It is wrong.
    Bad,
}

impl Tone {
    /// Returns the class in the page's style.
    pub(crate) fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Unknown => "unknown",
            Self::Soon => "soon",
            Self::Bad => "bad",
        }
    }

    /// Returns a sign, for readers who do not see the colour.
    pub(crate) fn sign(self) -> &'static str {
        match self {
            Self::Good => "✓",
            Self::Unknown => "?",
            Self::Soon => "!",
            Self::Bad => "✗",
        }
    }
}
