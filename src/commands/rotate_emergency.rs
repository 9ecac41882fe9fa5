//! `rotate-ca start --emergency` and `rotate-ca next --emergency`: a CA whose key was stolen.

use crate::app::revoke::{self, Outcome, Request, RevokeOptions, RevokeReport};
use crate::app::rotate::{self, RotateError};
use crate::cli::args::ca_passphrase::PassphraseArgs;
use crate::cli::args::output::OutputFormat;
use crate::cli::context::Context;
use crate::cli::error::{CliError, Result, no_answer};
use crate::cli::exit::Exit;
use crate::cli::output::rotation_emergency as output;
use crate::cluster::profile::CaRole;
use crate::cluster::spec::Cluster;

/// An emergency as it was asked for.
pub(super) struct Emergency<'a> {
    pub(super) role: CaRole,
    pub(super) passphrase: &'a PassphraseArgs,
    pub(super) is_confirmed: bool,
    pub(super) output: OutputFormat,
}

impl Emergency<'_> {
    /// Shows what changes and what breaks.
    ///
    /// # Errors
    /// Returns an error if the CAs or the ledger cannot be read.
    pub(super) fn show_plan(&self, cluster: &Cluster, context: &mut Context<'_>) -> Result<()> {
        let plan = rotate::plan_emergency(self.role, cluster, &context.env)?;
        output::show_plan(&plan, self.output, &mut context.screen);
        Ok(())
    }

    /// Says what breaks, and asks.
    ///
    /// # Errors
    /// Returns a refusal if it is not confirmed.
    pub(super) fn confirm(&self, cluster: &Cluster, context: &mut Context<'_>) -> Result<()> {
        let plan = rotate::plan_emergency(self.role, cluster, &context.env)?;
        output::say_what_breaks(&plan, &mut context.screen);
        if self.is_confirmed {
            return Ok(());
        }
        let Some(prompts) = &mut context.prompts else {
            return Err(crate::app::Error::from(RotateError::ConfirmEmergency).into());
        };
        match prompts.confirm("Lock out all that the old root signed?").map_err(no_answer("it was not confirmed"))? {
            true => Ok(()),
            false => Err(CliError::new(Exit::Refused, "cancelled; nothing was changed")),
        }
    }

    /// Begins the last phase, and revokes all that the old root signed.
    ///
    /// # Errors
    /// Returns the errors of [`rotate::emergency`], [`revoke::plan`] and [`revoke::RevokePlan::apply`]. The last phase has
    /// begun if it cannot be revoked; the same command continues.
    pub(super) fn run(&self, cluster: &Cluster, context: &mut Context<'_>) -> Result<Exit> {
        let env = context.env.clone();
        let report = rotate::emergency(self.role, cluster, &env, &mut context.observer())?;
        let revoked = self.revoke(cluster, context);
        let count = revoked.as_ref().ok().map(|revoked| match revoked.outcome {
            Outcome::Revoked(count) => count,
            Outcome::Completed | Outcome::Renewed | Outcome::Recorded { .. } => 0,
        });
        output::show(&report, count, self.output, &mut context.screen);
        revoked.map(|_| Exit::Done)
    }

    fn revoke(&self, cluster: &Cluster, context: &mut Context<'_>) -> Result<RevokeReport> {
        let (env, request) = (context.env.clone(), Request::Replaced(self.role));
        let options = RevokeOptions { request, crl_validity: None, templates: None };
        let plan = revoke::plan(options, cluster, &env, &mut context.observer())?;
        // The new CA has not revoked anything: only the old one signs its CRL.
        let old = match plan.signers().is_empty() {
            true => None,
            false => self.passphrase.outgoing(self.role, cluster, context)?,
        };
        Ok(plan.apply(old.as_slice(), &mut context.observer())?)
    }
}
