-- A ledger of format 2: the schema of that format, with rows in every table.
CREATE TABLE certificates (
    seq           INTEGER PRIMARY KEY AUTOINCREMENT, -- order of issue
    serial        TEXT NOT NULL,                     -- hexadecimal
    sha256        TEXT NOT NULL UNIQUE,              -- of the DER: Kubernetes's credential-id
    spki_sha256   TEXT NOT NULL,                     -- of the SubjectPublicKeyInfo
    profile       TEXT NOT NULL,                     -- apiserver, kubelet-client, … root
    host          TEXT,                              -- null where the cluster has one
    account       TEXT NOT NULL,                     -- the subject's common name
    not_before    TEXT NOT NULL,                     -- RFC 3339, UTC
    not_after     TEXT NOT NULL,
    issuer_sha256 TEXT NOT NULL,                     -- of the issuing root's DER
    issued_at     TEXT NOT NULL,
    issued_by     TEXT NOT NULL,                     -- user@machine
    der           BLOB NOT NULL,
    UNIQUE (issuer_sha256, serial)
);
CREATE INDEX certificates_by_holder ON certificates (profile, host, seq);
CREATE TABLE events (
    seq     INTEGER PRIMARY KEY AUTOINCREMENT,
    at      TEXT NOT NULL,                           -- RFC 3339, UTC
    by      TEXT NOT NULL,                           -- user@machine
    kind    TEXT NOT NULL,                           -- init-ca, bundle, …
    subject TEXT NOT NULL,                           -- a host, a root
    detail  TEXT NOT NULL
);
INSERT INTO certificates VALUES (1, '55c36cee791da047a4d736de84507d52', 'cba1c16035eca5706eb4e0af22c99b94c1f2b76278497aa8e93f2d0ba8a96223', '227ba5f2c6c9109fe5c44a0696f393379607493a377f522ee27d9a7ae3227d89', 'cluster CA', NULL, 'another-ca', '2026-01-01T00:00:00Z', '2027-01-01T00:00:00Z', 'cba1c16035eca5706eb4e0af22c99b94c1f2b76278497aa8e93f2d0ba8a96223', '2026-01-01T00:05:00Z', 'admin@laptop', x'30820b4a7b2e00322c45a750c5030f9bec32fc889f78b093f050f91c6a7633dbff00');
INSERT INTO certificates VALUES (2, 'd194da90ae6aa538be0f5aa0e95588b1', '3e5ef2fb2a4ade8b62dd840bd52f29352a151d11f39dfb63c848189dba5ac2ff', '08f225fe08e94a5b1da2da4079fcd1a7647d375cc95624a6c6d65a6fc84b3243', 'kubelet-client', 'worker-1', 'system:node:worker-1', '2026-01-01T00:00:00Z', '2027-01-01T00:00:00Z', 'cba1c16035eca5706eb4e0af22c99b94c1f2b76278497aa8e93f2d0ba8a96223', '2026-01-01T00:05:00Z', 'admin@laptop', x'3082d376cc0f75505ae166a9665f1e1d2ecdc45606fe5939b9facc78dc71599e5c9b');
INSERT INTO certificates VALUES (3, 'b1a9c62eac0f77d5d37afc00dbf5c625', '7a90b429f83e3f8c605b686dfb1d7ee994245308e6c8ca8415300eb58465145b', '3d3ee11c2fbf7f6a6b1e6aa16c382631ec5f1fbfc50ca3ba5a89d366d22eeaef', 'kubelet-server', 'worker-1', 'system:node:worker-1', '2026-01-01T00:00:00Z', '2027-01-01T00:00:00Z', 'cba1c16035eca5706eb4e0af22c99b94c1f2b76278497aa8e93f2d0ba8a96223', '2026-01-01T00:05:00Z', 'admin@laptop', x'30828c9caeec602d99e06bb4fc718bf0def6afdfab84e2307d85edd0d7f0ad686405');
INSERT INTO certificates VALUES (4, '65bc66e39ceb1b0b9de343d72e7bc7c3', '6642d2b2b34f96e92bfad7266cddfaf386285ef7044692847da5c4d16bed3141', 'a1788ce1d89fe8b456e26d4c37fd635633c259adc1ff7fffae353a5c73807b19', 'admin', NULL, 'alice', '2026-01-01T00:00:00Z', '2027-01-01T00:00:00Z', 'cba1c16035eca5706eb4e0af22c99b94c1f2b76278497aa8e93f2d0ba8a96223', '2026-01-01T00:05:00Z', 'admin@laptop', x'3082e7435261982697a942d173138b3fd2c0b9559806c4b823923216bef353e79be0');
INSERT INTO events VALUES (1, '2026-01-01T00:00:00Z', 'admin@laptop', 'init-ca', 'roots', '3 roots created');
INSERT INTO events VALUES (2, '2026-01-01T00:10:00Z', 'admin@laptop', 'forget-key', 'worker-1', '3e5ef2fb2a4ade8b62dd840bd52f29352a151d11f39dfb63c848189dba5ac2ff');
CREATE TABLE revocations (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,    -- order of revocation
    sha256     TEXT NOT NULL UNIQUE REFERENCES certificates (sha256),
    reason     TEXT NOT NULL,                        -- RFC 5280's name: keyCompromise, superseded, …
    revoked_at TEXT NOT NULL,                        -- RFC 3339, UTC
    revoked_by TEXT NOT NULL                         -- user@machine
);
CREATE TABLE revocation_lists (
    issuer_sha256 TEXT NOT NULL,                     -- of the root's DER
    number        INTEGER NOT NULL,                  -- grows with every list of that root
    this_update   TEXT NOT NULL,                     -- RFC 3339, UTC
    next_update   TEXT NOT NULL,
    PRIMARY KEY (issuer_sha256, number)
);
CREATE INDEX certificates_by_account ON certificates (account);
INSERT INTO revocations VALUES (1, '7a90b429f83e3f8c605b686dfb1d7ee994245308e6c8ca8415300eb58465145b', 'keyCompromise', '2026-02-01T00:00:00Z', 'admin@laptop');
INSERT INTO revocation_lists VALUES ('cba1c16035eca5706eb4e0af22c99b94c1f2b76278497aa8e93f2d0ba8a96223', 1767225600, '2026-02-01T00:00:00Z', '2026-05-01T00:00:00Z');
PRAGMA user_version = 2;
