//! The whole suite as one binary, a module per command or room.

mod bundle;
