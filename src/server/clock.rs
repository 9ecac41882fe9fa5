//! The clock of the server.

use std::sync::Arc;

use time::OffsetDateTime;

/// Returns the current time.
pub type Clock = Arc<dyn Fn() -> OffsetDateTime + Send + Sync>;
