//! Finds the certificates that a name refers to.

use super::certificates::{self, OwnCertificate};
use super::error::RevokeError;
use super::lookup_error::LookupError;
use super::options::Subject;
use crate::app::error::Error;
use crate::app::input::InputError;
use crate::cluster::name::HostName;
use crate::cluster::profile::{CaRole, Holder, TABLE};
use crate::cluster::similar::nearest;
use crate::cluster::spec::Cluster;
use crate::pki::ca_set::CaSet;
use crate::pki::certificate::Serial;
use crate::store::error::StoreError;
use crate::store::files;
use crate::store::layout::Layout;
use crate::store::ledger::Ledger;
use crate::store::ledger::certificates::IssuedCertificate;

/// The minimum number of digits of a serial number: shorter hexadecimal text is a name.
pub(super) const SERIAL_DIGITS: usize = 16;

/// The sources in which certificates are searched.
pub(super) struct Lookup<'a> {
    pub(super) cluster: &'a Cluster,
    pub(super) layout: &'a Layout,
    pub(super) cas: &'a CaSet,
    pub(super) ledger: &'a Ledger,
}

/// The certificates that a name refers to.
pub(super) enum Found {
    /// Certificates of this directory's CAs.
    Certificates {
        /// All certificates, each with its record in the ledger, or the record that it would get.
        issued: Vec<IssuedCertificate>,
        /// The certificates among them that the ledger does not have.
        unrecorded: Vec<OwnCertificate>,
    },
    /// A certificate of this CA that the ledger does not have.
    Serial(CaRole, Serial),
}

impl Lookup<'_> {
    /// Finds the certificates of a host or an account, the certificate with a serial number, or those in a file.
    ///
    /// # Errors
    /// Returns [`LookupError`], [`RevokeError::NothingIssued`], [`InputError::Missing`], or an error if a file or the
    /// ledger cannot be used.
    pub(super) fn find(&self, subject: &Subject) -> Result<Found, Error> {
        if let Some(issuer) = subject.issuer {
            return self.of_issuer(&subject.name, issuer);
        }
        if let Some(found) = self.of_holder(&subject.name)? {
            return Ok(found);
        }
        if files::is_plain_file(&subject.file) {
            return self.in_file(subject);
        }
        if let Some(serial) = serial(&subject.name) {
            let issued = self.ledger.by_serial(&serial)?;
            if issued.is_empty() {
                return Err(RevokeError::from(LookupError::UnknownSerial(serial)).into());
            }
            return Ok(Found::Certificates { issued, unrecorded: Vec::new() });
        }
        if subject.name.contains('/') {
            return Err(InputError::Missing { what: "file", path: subject.file.clone() }.into());
        }
        Err(self.nothing_of(&subject.name)?.into())
    }

    /// Finds the certificate of a CA by its serial number, whether the ledger has it or not.
    fn of_issuer(&self, number: &str, issuer: CaRole) -> Result<Found, Error> {
        let Some(serial) = serial(number) else {
            return Err(RevokeError::from(LookupError::NotASerial(number.to_owned())).into());
        };
        let mut issued = self.ledger.by_serial(&serial)?;
        issued.retain(|issued| self.cas.of(issuer).has(issued.issuer));
        Ok(match issued.is_empty() {
            true => Found::Serial(issuer, serial),
            false => Found::Certificates { issued, unrecorded: Vec::new() },
        })
    }

    /// Finds the certificates of a host or an account; `None` if there are none.
    fn of_holder(&self, name: &str) -> Result<Option<Found>, StoreError> {
        let mut issued = self.ledger.by_host(name)?.all()?;
        let unrecorded = certificates::unrecorded_of(name, self.layout, self.cas, self.ledger)?;
        issued.extend(unrecorded.iter().map(|own| own.issued.clone()));
        Ok((!issued.is_empty()).then_some(Found::Certificates { issued, unrecorded }))
    }

    /// Finds the certificates of hosts, without those of persons and of the verifier that have the name of a host.
    ///
    /// Returns the records of all of them, and the certificates among them that the ledger does not have.
    pub(super) fn of_hosts(
        &self,
        hosts: &[HostName],
    ) -> Result<(Vec<IssuedCertificate>, Vec<OwnCertificate>), StoreError> {
        let (mut all, mut missing) = (Vec::new(), Vec::new());
        for host in hosts {
            let Some(Found::Certificates { issued, unrecorded }) = self.of_holder(host.as_str())? else { continue };
            all.extend(issued.into_iter().filter(|one| is_of_host(one, host)));
            missing.extend(unrecorded.into_iter().filter(|own| is_of_host(&own.issued, host)));
        }
        Ok((all, missing))
    }

    fn in_file(&self, subject: &Subject) -> Result<Found, Error> {
        let own = certificates::in_file(&subject.file, self.cas, self.ledger)?;
        let issued = own.iter().map(|own| own.issued.clone()).collect();
        Ok(Found::Certificates { issued, unrecorded: own.into_iter().filter(|own| !own.recorded).collect() })
    }

    /// Returns the error that explains why no certificate has this name.
    fn nothing_of(&self, name: &str) -> Result<RevokeError, StoreError> {
        if self.cluster.host_names().iter().any(|host| host.as_str() == name) {
            return Ok(RevokeError::NothingIssued(name.to_owned()));
        }
        let account = self.ledger.hosts_with_account(name)?;
        let hosts: Vec<String> = account.iter().flatten().cloned().collect();
        Ok(match (hosts.as_slice(), name.to_owned()) {
            ([host], account) => LookupError::AccountOfHost { account, host: host.clone() },
            ([], name) if !account.is_empty() => LookupError::Ca(name),
            ([], name) if self.cluster.name.as_str() == name => LookupError::Cluster(name),
            ([], name) => LookupError::Unknown { similar: self.similar(&name)?, name },
            (_, account) => LookupError::AccountOfHosts { account, hosts },
        }
        .into())
    }

    /// Returns the most similar name in the ledger, or the short serial number that was meant, if there is one.
    fn similar(&self, name: &str) -> Result<Option<String>, StoreError> {
        if let Some(serial) = Serial::parse(name)
            && !self.ledger.by_serial(&serial)?.is_empty()
        {
            return Ok(Some(format!("0x{serial}")));
        }
        let holders = self.ledger.holders()?;
        let known = || holders.iter().map(String::as_str);
        let is_longer = |holder: &&str| holder.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'));
        Ok(known().find(is_longer).or_else(|| nearest(name, known())).map(ToOwned::to_owned))
    }
}

/// Returns true for a certificate of the host itself, or of an unknown profile.
fn is_of_host(issued: &IssuedCertificate, host: &HostName) -> bool {
    let row = TABLE.iter().find(|row| row.name == issued.profile);
    let may_be = row.is_none_or(|row| matches!(row.holder, Holder::Master | Holder::Node));
    may_be && issued.host.as_deref() == Some(host.as_str())
}

/// Parses a serial number. A short one, as tools that count them issue, needs the prefix `0x`, because it could be a
/// name.
fn serial(text: &str) -> Option<Serial> {
    if let Some(number) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        return Serial::parse(number);
    }
    let digits = text.chars().filter(char::is_ascii_hexdigit).count();
    Serial::parse(text).filter(|_| digits >= SERIAL_DIGITS)
}
