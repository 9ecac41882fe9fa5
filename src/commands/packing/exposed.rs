//! Keys that others than their owner can read, as packing comes upon them: a bundle is no worse for it, but whoever read one can
//! pass for its host.

use std::sync::{Mutex, PoisonError};

use crate::cli::context::Context;
use crate::store::credentials::{self, CredentialProblem};

/// What was seen of them, by all threads.
#[derive(Default)]
pub(crate) struct Exposed(Mutex<Seen>);

/// A fleet may have many: one stands for all.
#[derive(Default)]
struct Seen {
    count: usize,
    first: Option<CredentialProblem>,
}

impl Exposed {
    /// Adds a [`CredentialProblem::Mode`].
    pub(super) fn add(&self, trouble: CredentialProblem) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.count += 1;
        seen.first.get_or_insert(trouble);
    }

    /// Warns of the key that signs service accounts' tokens, where it is packed and others can read it.
    pub(crate) fn tell_of_service_accounts(context: &mut Context<'_>) {
        let path = context.env.layout.service_account_key();
        if let Some(trouble) = credentials::readable_by_others(&path) {
            context.screen.warn(format_args!(
                "{trouble}: whoever did can make a token for every service account. Mend it with: chmod 600 {}",
                path.display(),
            ));
        }
    }

    /// Warns of what was seen.
    pub(crate) fn tell(self, context: &mut Context<'_>) {
        let Seen { count, first } = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        let Some(first) = first else { return };
        let more = if count > 1 { format!(" (and so for {} more)", count - 1) } else { String::new() };
        context.screen.warn(format_args!(
            "{first}{more}: whoever did can pass for the host. Mend it with: find {} -name '*.key' -exec chmod 600 {{}} +   \
             and where others may have been there, give the host a new key: issue-node or issue-master HOST --reissue",
            context.env.layout.pki().display(),
        ));
    }
}
