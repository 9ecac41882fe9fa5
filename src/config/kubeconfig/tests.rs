use zeroize::Zeroizing;

use super::*;

const ALL: &str = "\
apiVersion: v1
kind: Config
current-context: prod
contexts:
- name: prod
  context: {cluster: on, user: 'kubelet:on'}
- name: astray
  context: {cluster: nowhere, user: 'kubelet:on'}
- name: alone
  context: {cluster: on, user: nobody}
clusters:
- name: on
  cluster: {server: 'https://10.0.0.1:6443', certificate-authority: /etc/kubernetes/pki/ca.crt}
- name: open
  cluster: {server: 'http://10.0.0.1:8080', insecure-skip-tls-verify: true}
users:
- name: kubelet:on
  user: {client-certificate: a.crt, client-key-data: YWJj, exec: {command: rm}, token: secret}
";

#[test]
fn files_data_and_other_credentials_are_distinguished() {
    let config = read(ALL.as_bytes()).expect("a kubeconfig");
    assert_eq!(config.clusters[0].ca, Some(Credential::File("/etc/kubernetes/pki/ca.crt".into())));
    assert_eq!((config.clusters[1].insecure, &config.clusters[1].ca), (true, &None));
    let user = &config.users[0];
    assert_eq!(user.key, Some(Credential::Data(Zeroizing::new(b"abc".to_vec()))));
    assert_eq!(user.others, ["a token", "an exec plugin (not run)"]);
    assert!(!format!("{config:?}").contains("secret"));
}

#[test]
fn other_files_are_refused() {
    assert!(matches!(read(b"- 1"), Err(KubeconfigError::Shape(_))));
    assert!(matches!(read(b""), Err(KubeconfigError::Shape(_))));
    assert!(matches!(read(b"name: prod"), Err(KubeconfigError::Shape(_))));
    assert!(matches!(read(b"kind: Pod"), Err(KubeconfigError::Kind(_))));
    assert!(matches!(read(b"kind: Config\napiVersion: v2"), Err(KubeconfigError::Version(_))));
    let bad = b"kind: Config\nclusters: [{name: a, cluster: {certificate-authority-data: '!'}}]";
    assert_eq!(read(bad), Err(KubeconfigError::Base64("certificate-authority-data".into())));
    let twice = b"kind: Config\nusers: [{name: a}, {name: a}]";
    assert_eq!(read(twice), Err(KubeconfigError::Twice { what: "user", name: "a".into() }));
}

#[test]
fn only_entries_of_the_context_are_used() {
    let config = read(ALL.as_bytes()).expect("a kubeconfig");
    let current = config.resolve(None).expect("the current context");
    assert_eq!((current.cluster.name.as_str(), current.user.map(|u| u.name.as_str())), ("on", Some("kubelet:on")));
    assert!(current.weaknesses().iter().all(|weakness| !weakness.what.contains("insecure")));
    assert_eq!(config.resolve(Some("prod")), Ok(current));
    assert_eq!(config.resolve(Some("absent")), Err(ContextError::NoContext("absent".into())));
    assert!(matches!(config.resolve(Some("astray")), Err(ContextError::NoCluster { .. })));
    let alone = config.resolve(Some("alone")).expect("anonymous");
    assert!(alone.user.is_none() && alone.weaknesses().iter().any(|w| w.what.contains("anonymous")));
}

#[test]
fn a_missing_context_is_an_error_and_no_current_context_is_a_weakness() {
    let dangling = ALL.replace("current-context: prod", "current-context: gone");
    assert_eq!(read(dangling.as_bytes()).expect("read").resolve(None), Err(ContextError::NoContext("gone".into())));
    let unset = ALL.replace("current-context: prod\n", "");
    assert_eq!(read(unset.as_bytes()).expect("read").resolve(None), Err(ContextError::NoneChosen));
    let one = b"kind: Config\nclusters: [{name: c, cluster: {server: 'https://a', certificate-authority: ca}}]";
    let one = read(one).expect("read");
    assert!(one.resolve(None).expect("the only one").weaknesses().iter().any(|weakness| weakness.breaks_trust));
    let no_server = ALL.replace("server: 'https://10.0.0.1:6443', ", "");
    assert!(matches!(read(no_server.as_bytes()).expect("read").resolve(None), Err(ContextError::NoServer(_))));
}

#[test]
fn kubeconfigs_accepted_by_client_go_are_accepted() {
    let marked = [b"\xef\xbb\xbf".as_slice(), ALL.as_bytes()].concat();
    assert_eq!(read(&marked), read(ALL.as_bytes()));
    assert_eq!(read(format!("{ALL}---\nkind: Pod\n").as_bytes()), read(ALL.as_bytes()));
    assert_eq!(read(format!("---\n{ALL}---\n: [").as_bytes()), read(ALL.as_bytes()));
    assert_eq!(read(ALL.replace("apiVersion: v1\nkind: Config\n", "").as_bytes()), read(ALL.as_bytes()));
    let empty = read(b"kind: Config\nclusters: null\nusers: ~\ncontexts:\ncurrent-context: null\n").expect("read");
    assert_eq!(empty, Kubeconfig { current_context: None, clusters: vec![], users: vec![], contexts: vec![] });
    let data = |written: &str| {
        let text =
            format!("kind: Config\nclusters:\n- name: a\n  cluster:\n    certificate-authority-data: {written}\n");
        match read(text.as_bytes()) {
            Ok(config) => match &config.clusters[0].ca {
                Some(Credential::Data(bytes)) => String::from_utf8(bytes.to_vec()).ok(),
                _ => None,
            },
            Err(_) => None,
        }
    };
    for written in
        ["YWJj", "|\n      YW\n      Jj", "\"YW\\r\\nJj\"", "!!binary WVdKag==", "!!binary |\n      WVdK\n      ag=="]
    {
        assert_eq!(data(written).as_deref(), Some("abc"), "{written}");
    }
    // Go accepts none of these.
    for written in ["'YW Jj'", "' YWJj'", ">\n      YW\n      Jj", "!!binary YWJj", "YWJ"] {
        assert_eq!(data(written), None, "{written}");
    }
}

#[test]
fn merge_keys_and_utf_16_are_read_and_names_must_be_texts() {
    let base = read(ALL.as_bytes()).expect("read");
    let merged = ALL.replace("clusters:\n", "common: &c {tls-server-name: other}\nclusters:\n");
    let merged = read(merged.replace("{server: 'https", "{<<: *c, server: 'https").as_bytes()).expect("read");
    assert_eq!(merged.clusters[0].tls_server_name.as_deref(), Some("other"));
    assert_eq!(merged.users, base.users);
    let units = || std::iter::once(0xfeff).chain(ALL.encode_utf16());
    let (little, big): (Vec<u8>, Vec<u8>) =
        (units().flat_map(u16::to_le_bytes).collect(), units().flat_map(u16::to_be_bytes).collect());
    assert_eq!(read(&little).as_ref(), Ok(&base));
    assert_eq!(read(&big).as_ref(), Ok(&base));
    assert!(read(&little[..little.len() - 1]).is_err());
    for (from, to) in [("current-context: prod", "current-context: 1"), ("- name: alone", "- name: true")] {
        assert!(matches!(read(ALL.replace(from, to).as_bytes()), Err(KubeconfigError::Shape(_))), "{to}");
    }
    assert!(read(ALL.replace("- name: alone", "- name: '1'").as_bytes()).is_ok());
}

#[test]
fn fields_ignored_or_refused_by_client_go_are_reported() {
    let change = |from: &str, to: &str| {
        let config = read(ALL.replace(from, to).as_bytes()).expect("read");
        let weaknesses = config.resolve(None).expect("used").weaknesses();
        weaknesses.into_iter().map(|weakness| (weakness.breaks_trust, weakness.what)).collect::<Vec<_>>()
    };
    let known = change("", "").len();
    let cases = [
        ("certificate-authority: /etc", "proxy-url: 'http://p:1', certificate-authority: /etc", false, "proxy-url"),
        ("certificate-authority: /etc", "proxy-url: 'ftp://p', certificate-authority: /etc", true, "proxy-url"),
        ("certificate-authority: /etc", "proxy-url: 'p:1', certificate-authority: /etc", true, "proxy-url"),
        (
            "certificate-authority: /etc",
            "certificate-authority-data: YWJj, certificate-authority: /etc",
            true,
            "refuses",
        ),
        ("exec:", "as: root, exec:", false, "as and as-groups"),
        ("exec:", "as-groups: [a], exec:", true, "without as"),
        ("exec:", "password: x, exec:", true, "a token and a password"),
        ("client-key-data: YWJj", "client-key: ''", true, "without its key"),
    ];
    for (from, to, breaks_trust, what) in cases {
        let found = change(from, to);
        assert!(found.len() >= known, "{to}");
        assert!(found.iter().any(|(breaks, text)| *breaks == breaks_trust && text.contains(what)), "{to}: {found:?}");
    }
    let nothing = change(", exec: {command: rm}, token: secret", ", exec: null, token: '', username: '', as: ''");
    assert!(nothing.iter().all(|(breaks, _)| !breaks), "{nothing:?}");
}

#[test]
fn the_servers_url_is_interpreted_as_by_client_go() {
    let location = |server: &str| {
        let text = ALL.replace("https://10.0.0.1:6443", server);
        read(text.as_bytes()).expect("read").resolve(None).expect("used").cluster.location()
    };
    assert_eq!(location("HTTPS://Internal-ELB.example.COM:6443"), "https://internal-elb.example.com:6443");
    assert_eq!(location("10.0.0.1:6443"), "http://10.0.0.1:6443");
    assert_eq!(location("http://A:80"), "http://a:80");
}
