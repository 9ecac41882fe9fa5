//! The six properties of an established cluster.

use serde::{Deserialize, Serialize};

/// One of the six properties of an established cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Property {
    /// Master → node: location.
    P1i,
    /// Master → node: target authentication.
    P1ii,
    /// Master → node: client authentication and authorization.
    P1iii,
    /// Node → master: location.
    P2i,
    /// Node → master: target authentication.
    P2ii,
    /// Node → master: client authentication and authorization.
    P2iii,
}

impl Property {
    /// All six, in order.
    pub const ALL: [Self; 6] = [Self::P1i, Self::P1ii, Self::P1iii, Self::P2i, Self::P2ii, Self::P2iii];

    /// `1.i` … `2.iii`
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::P1i => "1.i",
            Self::P1ii => "1.ii",
            Self::P1iii => "1.iii",
            Self::P2i => "2.i",
            Self::P2ii => "2.ii",
            Self::P2iii => "2.iii",
        }
    }

    /// Returns a short title.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::P1i => "masters find nodes",
            Self::P1ii => "nodes prove who they are",
            Self::P1iii => "nodes accept only masters",
            Self::P2i => "nodes find masters",
            Self::P2ii => "masters prove who they are",
            Self::P2iii => "masters know each node",
        }
    }
}
