//! Examples for the help of each command. Each line after `$ ` is a command; a test checks that it parses.

/// `init`
pub const INIT: &str = "\
Examples:
  $ clusterctl init
  $ clusterctl init --name prod --endpoint https://api.prod.example.net:6443 --master m1=10.0.0.1 --node w1=10.0.1.1
  $ kubectl get nodes -o json | clusterctl init --from-kubectl - --service-cidr 10.96.0.0/12";

/// `init-ca`
pub const INIT_CA: &str = "\
Examples:
  $ clusterctl init-ca
  $ clusterctl init-ca --ca-passphrase-file /run/credentials/ca-passphrase
  $ clusterctl init-ca --intermediate --root-out /media/safe/prod-roots";

/// `import-ca`
pub const IMPORT_CA: &str = "\
Examples:
  $ clusterctl import-ca --as cluster --cert ca.crt --key ca.key
  $ clusterctl import-ca --as cluster --cert intermediate.crt --key intermediate.key --chain root.crt
  $ clusterctl import-ca --as etcd --cert etcd/ca.crt --key etcd/ca.key
  $ clusterctl import-ca --from-kubeadm /etc/kubernetes
  $ clusterctl import-ca --from-k3s /var/lib/rancher/k3s/server/tls";

/// `issue-master`
pub const ISSUE_MASTER: &str = "\
Examples:
  $ clusterctl issue-master --all
  $ clusterctl issue-master --all --renew-within 30d";

/// `issue-node`
pub const ISSUE_NODE: &str = "\
Examples:
  $ clusterctl issue-node --all --dry-run
  $ clusterctl issue-node --all
  $ clusterctl issue-node worker-1 --reissue

A dry run exits with 0 whether there is something to issue or not; each line of its standard output is one certificate.";

/// `issue-admin`
pub const ISSUE_ADMIN: &str = "\
Examples:
  $ clusterctl issue-admin alice --validity 30d
  $ clusterctl issue-admin --break-glass --validity 1h";

/// `bundle`
pub const BUNDLE: &str = "\
Examples:
  $ clusterctl bundle --all
  $ clusterctl bundle worker-1 --format cloud-init
  $ clusterctl bundle --all --known-hosts ~/.ssh/known_hosts --sign-with ~/.ssh/id_ed25519";

/// `open`
pub const OPEN: &str = "\
Examples:
  $ clusterctl open worker-1.tar.gz.age
  $ clusterctl open worker-1.tar.gz --signer allowed_signers";

/// `policy`
pub const POLICY: &str = "\
Examples:
  $ clusterctl policy
  $ clusterctl policy --check";

/// `rotate-ca`
pub const ROTATE_CA: &str = "\
Examples:
  $ clusterctl rotate-ca start
  $ clusterctl rotate-ca status
  $ clusterctl rotate-ca next --dry-run
  $ clusterctl rotate-ca next";

/// `rotate-ca start`
pub const ROTATE_CA_START: &str = "\
Examples:
  $ clusterctl rotate-ca start
  $ clusterctl rotate-ca start --key-kind ecdsa-p256 --canary master-2 --canary worker-7
  $ clusterctl rotate-ca start --cert new-ca.crt --key new-ca.key
  $ clusterctl rotate-ca start --role service-account
  $ clusterctl rotate-ca start --emergency";

/// `rotate-ca status`
pub const ROTATE_CA_STATUS: &str = "\
Examples:
  $ clusterctl rotate-ca status
  $ clusterctl rotate-ca status --output json";

/// `rotate-ca next`
pub const ROTATE_CA_NEXT: &str = "\
Examples:
  $ clusterctl rotate-ca next --dry-run
  $ clusterctl rotate-ca next
  $ clusterctl rotate-ca next --role etcd
  $ clusterctl verify --phase --output json >report.json
  $ clusterctl rotate-ca next --report report.json";

/// `rotate-ca abort`
pub const ROTATE_CA_ABORT: &str = "\
Examples:
  $ clusterctl rotate-ca abort
  $ clusterctl apply";

/// `revoke`
pub const REVOKE: &str = "\
Examples:
  $ clusterctl revoke worker-1 --reason keyCompromise
  $ clusterctl revoke --from bundles";

/// `remove`
pub const REMOVE: &str = "\
Examples:
  $ clusterctl remove worker-1 --dry-run
  $ clusterctl remove worker-1,worker-2
  $ clusterctl remove 'worker-*' --yes --output json";

/// `crl`
pub const CRL: &str = "\
Examples:
  $ clusterctl crl renew
  $ clusterctl crl show";

/// `crl renew`
pub const CRL_RENEW: &str = "\
Examples:
  $ clusterctl crl renew
  $ clusterctl crl renew --crl-validity 30d";

/// `crl show`
pub const CRL_SHOW: &str = "\
Examples:
  $ clusterctl crl show
  $ clusterctl crl show --output json
  $ clusterctl crl show pki/crl.pem";

/// `verify`
pub const VERIFY: &str = "\
Examples:
  $ clusterctl verify
  $ clusterctl verify --offline
  $ clusterctl verify --node worker-1 --timeout 2s --deadline 2m --output json
  $ clusterctl verify --kubeconfig admin.conf";

/// `status`
pub const STATUS: &str = "\
Examples:
  $ clusterctl status
  $ clusterctl status 'worker-*' --expires-within 60d
  $ clusterctl status --pki /etc/kubernetes
  $ clusterctl status --output prometheus >/var/lib/node_exporter/textfile/clusterctl.prom

Exit status 0 says that nothing is due, 1 that something is due, has expired, or belongs to a host that is no longer in cluster.yaml.";

/// `lint`
pub const LINT: &str = "\
Examples:
  $ clusterctl lint /etc/kubernetes
  $ clusterctl lint /var/lib/rancher/k3s/server/tls --ignore account.system-masters
  $ clusterctl lint pki admin.conf --severity warning --output sarif >lint.sarif
  $ clusterctl lint --explain usage.server-and-client";

/// `show`
pub const SHOW: &str = "\
Examples:
  $ clusterctl show pki/ca.crt
  $ clusterctl show bundles/worker-1.tar.gz
  $ clusterctl show worker-1
  $ clusterctl show 'worker-*' --output json
  $ clusterctl show X509SHA256=6a3d5bd1f8e2a6d5b4a7a7e1d2c3b4a5968778695a4b3c2d1e0f00112233aabb";

/// `validate`
pub const VALIDATE: &str = "\
Examples:
  $ clusterctl validate
  $ clusterctl validate --output json cluster.yaml";

/// `explain`
pub const EXPLAIN: &str = "\
Examples:
  $ clusterctl explain
  $ clusterctl explain masters.addresses
  $ clusterctl explain --schema >cluster.schema.json";

/// `renew`
pub const RENEW: &str = "\
Examples:
  $ clusterctl renew --all --dry-run
  $ clusterctl renew --all --admins --ca-passphrase-file /run/credentials/ca-passphrase
  $ clusterctl renew 'worker-*' --within 30d";

/// `apply`
pub const APPLY: &str = "\
Examples:
  $ clusterctl apply
  $ clusterctl apply --ca-passphrase-file /run/credentials/ca-passphrase --output json
  $ clusterctl apply --known-hosts ~/.ssh/known_hosts --sign-with ~/.ssh/id_ed25519

Administrators' kubeconfigs are not renewed: renew --admins does that. Hosts that are no longer in cluster.yaml, and hosts that have to send new requests, are reported and left alone.";

/// `plan`
pub const PLAN: &str = "\
Examples:
  $ clusterctl plan
  $ clusterctl plan --exit-code --output json";

/// `request`
pub const REQUEST: &str = "\
Examples:
  $ clusterctl request worker-1
  $ clusterctl request worker-1 --root /mnt/image --out worker-1.request";

/// `join`
pub const JOIN: &str = "\
Examples:
  $ clusterctl join --cluster sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef@https://boot.example.net:6445 --ssh-host-key /etc/ssh/ssh_host_ed25519_key
  $ clusterctl join --cluster sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef@https://boot.example.net:6445 --token-file token --wait 10m
  $ clusterctl join --install-timer
  $ clusterctl join --renew

Exit status: 0 joined, or nothing to do; 3 denied, or an endpoint sent invalid data; 4 unreachable; 5 no decision yet.";

/// `register`
pub const REGISTER: &str = "\
Examples:
  $ clusterctl register https://boot.example.net:6445 --token-file registration-token";

/// `announce`
pub const ANNOUNCE: &str = "\
Examples:
  $ clusterctl announce https://boot.example.net:6445 --enrolment https://master-1.example.net:6444 --kubeconfig announcer.conf";

/// `serve bootstrap`
#[cfg(feature = "server")]
pub const SERVE_BOOTSTRAP: &str = "\
Examples:
  $ clusterctl serve bootstrap --state /var/lib/clusterctl-bootstrap --create-token
  $ clusterctl serve bootstrap --state /var/lib/clusterctl-bootstrap
  $ clusterctl serve bootstrap --state /var/lib/clusterctl-bootstrap --listen 203.0.113.7:6445 --cert boot.crt --key boot.key";

/// `token`
pub const TOKEN: &str = "\
Examples:
  $ clusterctl token create worker-1
  $ clusterctl token create worker-1 --ttl 1h --source 10.20.0.0/16
  $ clusterctl token list
  $ clusterctl token revoke 0123456789";

/// `sign`
pub const SIGN: &str = "\
Examples:
  $ clusterctl sign worker-1.request
  $ clusterctl sign --dry-run worker-1.request worker-2.request
  $ clusterctl sign --host worker-1 --profile kubelet-server openssl.csr";

/// `log`
pub const LOG: &str = "\
Examples:
  $ clusterctl log
  $ clusterctl log worker-1,worker-2
  $ clusterctl log --since 30d --output json";

/// `ledger`
pub const LEDGER: &str = "\
Examples:
  $ clusterctl ledger check
  $ clusterctl ledger rebuild";

/// `ledger rebuild`
pub const LEDGER_REBUILD: &str = "\
Examples:
  $ clusterctl ledger rebuild";

/// `backup`
pub const BACKUP: &str = "\
Examples:
  $ clusterctl backup /backup/prod.age
  $ clusterctl backup --encrypt-to admins.pub /backup/prod.age
  $ clusterctl backup --passphrase-file /run/credentials/backup-passphrase --without-bundles /backup/prod.age";

/// `restore`
pub const RESTORE: &str = "\
Examples:
  $ clusterctl restore --dir prod /backup/prod.age
  $ clusterctl restore --dir prod --identity admin.key /backup/prod.age";

/// `ledger adopt`
pub const LEDGER_ADOPT: &str = "\
Examples:
  $ clusterctl ledger adopt /etc/kubernetes
  $ kubectl get csr -o json | clusterctl ledger adopt -
  $ clusterctl ledger adopt --host master-1 etcd-server.pem";

/// `ledger check`
pub const LEDGER_CHECK: &str = "\
Examples:
  $ clusterctl ledger check
  $ clusterctl ledger check --output json";

/// `serve`
#[cfg(feature = "server")]
pub const SERVE: &str = "\
Examples:
  $ clusterctl serve ca
  $ clusterctl serve ca --listen 10.20.0.11:6444 --master master-1
  $ clusterctl serve bootstrap --state /var/lib/clusterctl-bootstrap";

/// `serve ca`
#[cfg(feature = "server")]
pub const SERVE_CA: &str = "\
Examples:
  $ clusterctl serve ca
  $ clusterctl serve ca --listen 10.20.0.11:6444 --master master-1
  $ clusterctl serve ca --state /var/lib/clusterctl";

/// `demo`
pub const DEMO: &str = "\
Examples:
  $ clusterctl demo
  $ clusterctl demo --fault other-ca
  $ clusterctl demo --rotate";

/// `completions`
pub const COMPLETIONS: &str = "\
Examples:
  $ clusterctl completions bash >/etc/bash_completion.d/clusterctl
  $ clusterctl completions zsh >/usr/local/share/zsh/site-functions/_clusterctl";

/// `man`
pub const MAN: &str = "\
Examples:
  $ clusterctl man /usr/local/share/man/man1";

/// `version`
pub const VERSION: &str = "\
Examples:
  $ clusterctl version
  $ clusterctl version --output json";

/// `signer`
#[cfg(feature = "server")]
pub const SIGNER: &str = "\
Examples:
  $ clusterctl signer --kubeconfig signer.conf
  $ clusterctl signer --kubeconfig enrolment.conf --kubeconfig api-server.conf --ca-passphrase-file /run/credentials/ca-passphrase
  $ clusterctl signer --kubeconfig signer.conf --once";

/// `csr`
#[cfg(feature = "server")]
pub const CSR: &str = "\
Examples:
  $ clusterctl csr list --kubeconfig approver.conf
  $ clusterctl csr explain clusterctl-worker-1-client-0123456789abcdef --kubeconfig approver.conf
  $ clusterctl csr approve clusterctl-worker-1-client-0123456789abcdef --sign-with ~/.ssh/id_ed25519 --kubeconfig approver.conf
  $ clusterctl csr replay --since 30d --policy proposed.yaml --kubeconfig approver.conf";

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use crate::commands::tree::Cli;

    #[test]
    fn every_command_has_examples_and_each_of_them_parses() {
        for command in Cli::command().get_subcommands() {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let lines: Vec<&str> =
                help.lines().filter_map(|line| line.split_once("clusterctl ")).map(|(_, rest)| rest).collect();
            assert!(!lines.is_empty(), "{}", command.get_name());
            for line in lines {
                let words = line.split(' ').take_while(|word| !word.starts_with('>'));
                let parsed = Cli::try_parse_from(["clusterctl"].into_iter().chain(words));
                assert!(parsed.is_ok(), "{line}: {:?}", parsed.err().map(|error| error.to_string()));
            }
        }
    }
}
