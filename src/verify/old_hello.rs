//! ClientHellos that rustls does not send: one that offers TLS 1.1 at most, and one that offers everything that Go's
//! clients do.

use super::observation::OldHello;

/// The number of bytes that identify a response: a record's header, a handshake message's header, and the version.
const ANSWER: usize = 11;

const HANDSHAKE_RECORD: u8 = 22;
const ALERT_RECORD: u8 = 21;
const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;
const TLS_1_0: [u8; 2] = [3, 1];
const TLS_1_1: [u8; 2] = [3, 2];
const TLS_1_2: [u8; 2] = [3, 3];

/// Cipher suites that TLS 1.1 servers have: AES and 3DES in CBC with ECDHE, DHE and RSA key exchange, and
/// renegotiation_info (RFC 5746), which some servers demand.
const CIPHER_SUITES: [u16; 13] =
    [0xc009, 0xc00a, 0xc013, 0xc014, 0x0033, 0x0039, 0x002f, 0x0035, 0xc008, 0xc012, 0x0016, 0x000a, 0x00ff];

/// The cipher suites that Go 1.27's crypto/tls offers: TLS 1.3's suites, and those of TLS 1.2 with ECDHE, CBC's among
/// them.
const SUITES_OF_GO: [u16; 13] =
    [0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc009, 0xc013, 0xc00a, 0xc014];
/// X25519MLKEM768, X25519, P-256, P-384, P-521.
const GROUPS_OF_GO: [u16; 5] = [0x11ec, 29, 23, 24, 25];
/// RSA-PSS, ECDSA, Ed25519 and PKCS #1, with SHA-256 or better.
const SIGNATURES_OF_GO: [u16; 10] = [0x0804, 0x0403, 0x0807, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601, 0x0503, 0x0603];

/// Returns a record with a ClientHello of TLS 1.1 (RFC 4346 § 7.4.1.2). A server that only supports TLS 1.0 responds
/// with that version.
pub(super) fn message(server_name: Option<&str>) -> Vec<u8> {
    // RFC 8422: P-256, P-384, P-521; uncompressed points.
    let extensions = [extension(10, &block(&big_endian(&[23, 24, 25]))), extension(11, &[1, 0])].concat();
    record(TLS_1_1, &CIPHER_SUITES, &[named(server_name), extensions].concat())
}

/// Returns a record with a ClientHello like Go's, without a key share: a server of TLS 1.3 responds with a
/// HelloRetryRequest, which is also a ServerHello (RFC 8446 § 4.1.4).
pub(super) fn go_client_hello(server_name: Option<&str>) -> Vec<u8> {
    let extensions = [
        named(server_name),
        extension(10, &block(&big_endian(&GROUPS_OF_GO))),
        extension(11, &[1, 0]),
        extension(13, &block(&big_endian(&SIGNATURES_OF_GO))),
        // supported_versions: TLS 1.3 and 1.2; key_share: none.
        extension(43, &[4, 3, 4, 3, 3]),
        extension(51, &[0, 0]),
    ];
    record(TLS_1_2, &SUITES_OF_GO, &extensions.concat())
}

/// RFC 6066 § 3: a list of one host_name.
fn named(server_name: Option<&str>) -> Vec<u8> {
    let entry = |name: &str| [&[0][..], &block(name.as_bytes())].concat();
    server_name.map(|name| extension(0, &block(&entry(name)))).unwrap_or_default()
}

fn big_endian(numbers: &[u16]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
}

fn record(version: [u8; 2], suites: &[u16], extensions: &[u8]) -> Vec<u8> {
    let suites = big_endian(suites);
    let mut body = version.to_vec();
    // The random value protects nothing: no key is negotiated.
    body.extend(b"a client that is older than it is");
    body.truncate(2 + 32);
    body.push(0);
    body.extend(block(&suites));
    body.extend([1, 0]);
    body.extend(block(extensions));
    let mut message = vec![CLIENT_HELLO, 0];
    message.extend(block(&body));
    let mut record = vec![HANDSHAKE_RECORD];
    record.extend(TLS_1_0);
    record.extend(block(&message));
    record
}

/// Returns the content with its length in two bytes.
fn block(content: &[u8]) -> Vec<u8> {
    // A server name has at most 255 bytes, all else here is shorter than 100.
    let length = u16::try_from(content.len()).unwrap_or(u16::MAX);
    [&length.to_be_bytes()[..], content].concat()
}

fn extension(kind: u16, content: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &block(content)].concat()
}

/// Returns true if a response begins with a ServerHello; `None` if more has to be read.
pub(super) fn is_server_hello(said: &[u8], end: bool) -> Option<bool> {
    match said {
        [HANDSHAKE_RECORD, 3, _, _, _, message, ..] => Some(*message == SERVER_HELLO),
        [HANDSHAKE_RECORD, ..] if !end => None,
        [] if !end => None,
        _ => Some(false),
    }
}

/// Classifies the first bytes of a response; `None` if more have to be read. An alert that only warns (RFC 6066 § 3:
/// unrecognized_name) is skipped.
pub(super) fn read(said: &[u8], end: bool) -> Option<OldHello> {
    const WARNING: u8 = 1;
    const UNRECOGNIZED_NAME: u8 = 112;
    let rest = match *said {
        [ALERT_RECORD, 3, _, 0, 2, WARNING, UNRECOGNIZED_NAME, ref rest @ ..] => rest,
        _ => said,
    };
    Some(match *rest {
        [] if !end => return None,
        [] => OldHello::Closed,
        [ALERT_RECORD, 3, _, 0, 2, _, number, ..] => OldHello::Alert(number),
        [HANDSHAKE_RECORD, 3, _, _, _, SERVER_HELLO, _, _, _, 3, minor, ..] => match minor {
            0 => OldHello::Spoken("SSL 3.0".to_owned()),
            1 => OldHello::Spoken("TLS 1.0".to_owned()),
            2 => OldHello::Spoken("TLS 1.1".to_owned()),
            // A server must not choose more than was offered (RFC 4346 § 7.4.1.3).
            _ => OldHello::Failed("a ServerHello of a version that was not offered".to_owned()),
        },
        [ALERT_RECORD | HANDSHAKE_RECORD, ..] if !end && rest.len() < ANSWER => return None,
        _ => OldHello::Failed("an answer that is not TLS".to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_in_the_message_is_right() {
        let names = || [None, Some("a"), Some("node-1.example.net")].into_iter();
        let old = names().map(|name| (message(name), TLS_1_1, CIPHER_SUITES.len()));
        let of_go = names().map(|name| (go_client_hello(name), TLS_1_2, SUITES_OF_GO.len()));
        for (record, version, count) in old.chain(of_go) {
            let word = |at: usize| usize::from(u16::from_be_bytes([record[at], record[at + 1]]));
            assert_eq!(word(3), record.len() - 5);
            assert_eq!(word(7), record.len() - 9);
            assert_eq!(record[9..11], version);
            let suites = 9 + 2 + 32 + 1;
            assert_eq!(word(suites), count * 2);
            let extensions = suites + 2 + word(suites) + 2;
            assert_eq!(word(extensions), record.len() - extensions - 2);
        }
    }

    #[test]
    fn answers_are_classified() {
        assert_eq!(read(&[], true), Some(OldHello::Closed));
        // A server that sends an alert and keeps the connection open is not waited for.
        assert_eq!(read(&[21, 3, 1, 0, 2, 2, 70], false), Some(OldHello::Alert(70)));
        let hello = |minor| [22, 3, minor, 0, 90, 2, 0, 0, 86, 3, minor];
        assert_eq!(read(&hello(2), false), Some(OldHello::Spoken("TLS 1.1".into())));
        assert_eq!(read(&hello(1), false), Some(OldHello::Spoken("TLS 1.0".into())));
        assert!(matches!(read(&hello(3), false), Some(OldHello::Failed(_))));
        assert!(matches!(read(b"HTTP/1.1 400", false), Some(OldHello::Failed(_))));
        for length in 0..ANSWER {
            assert_eq!(read(&hello(2)[..length], false), None, "{length}");
            assert!(read(&hello(2)[..length], true).is_some(), "{length}");
        }
        // A warning is skipped: the response follows it.
        let warned = [&[21, 3, 2, 0, 2, 1, 112][..], &hello(2)].concat();
        assert_eq!(read(&warned[..7], false), None);
        assert_eq!(read(&warned, false), Some(OldHello::Spoken("TLS 1.1".into())));
    }
}
