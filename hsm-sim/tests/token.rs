//! The real client against the real server, in one process: what each fault does to its callers.

#![allow(clippy::unwrap_used, reason = "a test may stop anywhere")]

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use hsm::message::v1::request::Command;
use hsm::message::v1::response::Outcome;
use hsm::message::{self, v1};
use hsm::{Hsm, HsmError, Key, Pin, RemoteToken};
use hsm_sim::{Audit, Fault, Handle, Model, Server, connector, open_or_create};

const WITHIN: Duration = Duration::from_secs(20);

struct Bench {
    folder: tempfile::TempDir,
    server: Handle,
    token: RemoteToken,
}

/// A served token with all keys, and its client.
fn bench() -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let opened = open_or_create(&folder.path().join("token"), None).unwrap();
    for key in Key::ALL {
        opened.token.make_key(key).unwrap();
    }
    let socket = folder.path().join("socket");
    let server = Server::bind(&socket, opened.token)
        .unwrap()
        .spawn()
        .unwrap();
    let token = client(&folder, WITHIN);
    Bench {
        folder,
        server,
        token,
    }
}

fn client(folder: &tempfile::TempDir, within: Duration) -> RemoteToken {
    let pin = Pin::parse(&std::fs::read(folder.path().join("token.pin")).unwrap()).unwrap();
    RemoteToken::new(connector(&folder.path().join("socket"), within), pin)
}

fn uses(bench: &Bench, name: &str) -> u64 {
    let mut stream = UnixStream::connect(bench.server.socket()).unwrap();
    match ask(&mut stream, Command::Status(v1::Status {})) {
        Some(Outcome::Status(report)) => report.uses.get(name).copied().unwrap_or(0),
        _ => panic!("no status"),
    }
}

fn ask(stream: &mut UnixStream, command: Command) -> Option<Outcome> {
    message::write(
        stream,
        &v1::Request {
            command: Some(command),
        },
    )
    .unwrap();
    message::read::<v1::Response>(stream).unwrap()?.outcome
}

#[test]
fn every_command_answers_as_the_token_in_process_does() {
    let Bench {
        folder,
        server,
        token,
    } = bench();
    let described = token.describe().unwrap();
    assert!(described.simulated);
    let public: Vec<_> = Key::ALL.map(|key| token.public_key(key)).into();
    let signed: Vec<_> = Key::ALL.map(|key| token.sign(key, b"message")).into();
    let mac = token.mac(Key::Fingerprint, b"data").unwrap();
    let wrapped = token.wrap(Key::Ticket, b"unit 1", b"bundle").unwrap();
    assert!(matches!(
        token.unwrap(Key::Ticket, b"unit 2", &wrapped),
        Err(HsmError::Refused { .. })
    ));
    let (mut a, mut b) = ([0; 5_000], [0; 5_000]);
    token.random(&mut a).unwrap();
    token.random(&mut b).unwrap();
    assert!(a != b && a[4_990..] != [0; 10]);
    server.stop();

    let inside = open_or_create(&folder.path().join("token"), None)
        .unwrap()
        .token;
    assert_eq!(inside.describe(), Ok(described));
    assert_eq!(Key::ALL.map(|key| inside.public_key(key)).to_vec(), public);
    assert_eq!(
        Key::ALL.map(|key| inside.sign(key, b"message")).to_vec(),
        signed
    );
    assert_eq!(inside.mac(Key::Fingerprint, b"data"), Ok(mac));
    assert_eq!(
        inside
            .unwrap(Key::Ticket, b"unit 1", &wrapped)
            .unwrap()
            .as_slice(),
        b"bundle"
    );
}

#[test]
fn a_token_without_keys_says_which_is_missing_and_makes_it() {
    let folder = tempfile::tempdir().unwrap();
    let opened = open_or_create(&folder.path().join("token"), None).unwrap();
    let socket = folder.path().join("socket");
    let _server = Server::bind(&socket, opened.token)
        .unwrap()
        .spawn()
        .unwrap();
    let token = client(&folder, WITHIN);
    assert_eq!(
        token.public_key(Key::Log),
        Err(HsmError::NoSuchKey(Key::Log))
    );
    token.make_key(Key::Log).unwrap();
    let made = token.public_key(Key::Log).unwrap();
    token.make_key(Key::Log).unwrap();
    assert_eq!(token.public_key(Key::Log), Ok(made));
}

#[test]
fn the_mark_of_a_log_is_kept_over_a_restart() {
    let Bench {
        folder,
        server,
        token,
    } = bench();
    assert_eq!(token.high_water("birthmark/a"), Ok(None));
    token.raise_high_water("birthmark/a", 9).unwrap();
    token.raise_high_water("birthmark/a", 3).unwrap();
    assert_eq!(token.high_water("birthmark/a"), Ok(Some(9)));
    assert!(matches!(
        token.raise_high_water("", 3),
        Err(HsmError::Refused { .. })
    ));
    server.stop();
    let again = open_or_create(&folder.path().join("token"), None).unwrap();
    assert_eq!(again.token.high_water("birthmark/a"), Ok(Some(9)));
}

#[test]
fn many_threads_sign_at_once() {
    let bench = bench();
    let expected = bench.token.sign(Key::DeviceIssuing, b"message").unwrap();
    std::thread::scope(|scope| {
        for _ in 0..32 {
            scope.spawn(|| {
                for _ in 0..20 {
                    let signed = bench.token.sign(Key::DeviceIssuing, b"message");
                    assert_eq!(signed.as_ref(), Ok(&expected));
                }
            });
        }
    });
    assert_eq!(uses(&bench, "device-issuing sign"), 641);
    assert!(uses(&bench, "login") <= 8);
}

#[test]
fn a_token_that_is_gone_or_busy_is_unavailable_and_comes_back() {
    let bench = bench();
    for fault in [Fault::Gone, Fault::Busy] {
        bench.token.mac(Key::Fingerprint, b"data").unwrap();
        let before = uses(&bench, "fingerprint mac");
        bench.server.set_fault(fault);
        let failed = bench.token.mac(Key::Fingerprint, b"data");
        assert!(
            matches!(failed, Err(HsmError::Unavailable { .. })),
            "{fault}: {failed:?}"
        );
        assert_eq!(
            uses(&bench, "fingerprint mac"),
            before,
            "{fault} is not done"
        );
        bench.server.set_fault(Fault::None);
        bench.token.mac(Key::Fingerprint, b"data").unwrap();
    }
}

#[test]
fn a_forgotten_login_and_a_reset_cost_a_new_one() {
    let bench = bench();
    let mac = bench.token.mac(Key::Fingerprint, b"data").unwrap();
    bench.server.set_fault(Fault::SessionLost);
    for _ in 0..40 {
        assert_eq!(bench.token.mac(Key::Fingerprint, b"data"), Ok(mac));
    }
    bench.server.set_fault(Fault::None);
    let before = uses(&bench, "login");
    assert!(before > 1, "{before} logins");
    for round in 1..=5 {
        bench.server.set_fault(Fault::Reset);
        assert_eq!(bench.server.fault(), Fault::None);
        assert_eq!(bench.token.mac(Key::Fingerprint, b"data"), Ok(mac));
        assert!(uses(&bench, "login") >= before + round);
    }
}

#[test]
fn a_key_that_is_missing_is_named() {
    let bench = bench();
    bench.server.set_fault(Fault::KeyMissing);
    let missing = |key| Some(HsmError::NoSuchKey(key));
    let failed = bench.token.mac(Key::Fingerprint, b"data");
    assert_eq!(failed.err(), missing(Key::Fingerprint));
    let failed = bench.token.sign(Key::Log, b"data");
    assert_eq!(failed.err(), missing(Key::Log));
    bench.token.random(&mut [0; 8]).unwrap();
    bench.server.set_fault(Fault::None);
    bench.token.mac(Key::Fingerprint, b"data").unwrap();
}

#[test]
fn wrong_pins_lock_the_token_and_a_client_stops_at_the_first() {
    let bench = bench();
    bench.server.set_fault(Fault::WrongPin);
    let fresh = client(&bench.folder, WITHIN);
    for _ in 0..20 {
        assert_eq!(fresh.describe(), Err(HsmError::WrongPin));
    }
    bench.server.set_fault(Fault::None);
    // Twenty questions of one client were one try; nine others lock it for everybody.
    for _ in 0..9 {
        let wrong = Pin::parse(b"wrong PIN").unwrap();
        let stranger = RemoteToken::new(connector(bench.server.socket(), WITHIN), wrong);
        assert_eq!(stranger.describe(), Err(HsmError::WrongPin));
    }
    match client(&bench.folder, WITHIN).describe() {
        Err(HsmError::Refused { reason }) => assert!(reason.contains("locked"), "{reason}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_token_has_so_many_sessions_and_takes_its_time_and_writes_it_down() {
    let folder = tempfile::tempdir().unwrap();
    let opened = open_or_create(&folder.path().join("token"), None).unwrap();
    opened.token.make_key(Key::Fingerprint).unwrap();
    let socket = folder.path().join("socket");
    let trail = folder.path().join("trail");
    let model = Model {
        sessions: Some(1),
        latency: Duration::from_millis(20),
        audit: Some(Audit::open(&trail).unwrap()),
        tries: None,
    };
    let _server = Server::bind_as(&socket, opened.token, model)
        .unwrap()
        .spawn()
        .unwrap();
    let first = client(&folder, WITHIN);
    let begun = Instant::now();
    for _ in 0..5 {
        first.mac(Key::Fingerprint, b"data").unwrap();
    }
    assert!(begun.elapsed() >= Duration::from_millis(100));
    match client(&folder, WITHIN).mac(Key::Fingerprint, b"data") {
        Err(HsmError::Unavailable { reason }) => assert!(reason.contains("1 sessions"), "{reason}"),
        other => panic!("{other:?}"),
    }
    let text = std::fs::read_to_string(trail).unwrap();
    let count = |what: &str| text.lines().filter(|line| line.contains(what)).count();
    assert_eq!(
        count("\"command\":\"fingerprint mac\",\"outcome\":\"done\""),
        5,
        "{text}"
    );
    assert_eq!(count("CODE_TOO_MANY_SESSIONS"), 1, "{text}");
    assert!(!text.contains("data"));
}

#[test]
fn a_lost_reply_costs_one_repeat() {
    let bench = bench();
    bench.server.set_fault(Fault::ReplyLost);
    let signed = bench.token.sign(Key::Log, b"checkpoint").unwrap();
    assert_eq!(uses(&bench, "log sign"), 2, "it was done twice");
    assert_eq!(uses(&bench, "login"), 2, "on two connections");
    bench.server.set_fault(Fault::None);
    assert_eq!(bench.token.sign(Key::Log, b"checkpoint"), Ok(signed));
}

#[test]
fn a_slow_token_costs_time_and_a_client_may_give_up() {
    let bench = bench();
    bench.token.describe().unwrap();
    bench.server.set_fault(Fault::Slow);
    let begun = Instant::now();
    bench.token.describe().unwrap();
    assert!(begun.elapsed() >= Duration::from_secs(2));

    let hasty = client(&bench.folder, Duration::from_millis(50));
    assert!(matches!(
        hasty.describe(),
        Err(HsmError::Unavailable { .. })
    ));
    // Switching it off ends the waits: a stop does not hang on a slow token.
    bench.server.stop();
    assert!(begun.elapsed() < WITHIN);
}

#[test]
fn a_client_logs_in_again_after_a_restart() {
    let Bench {
        folder,
        server,
        token,
    } = bench();
    let before = token.sign(Key::Log, b"message");
    server.stop();
    assert!(matches!(
        token.sign(Key::Log, b"message"),
        Err(HsmError::Unavailable { .. })
    ));
    let opened = open_or_create(&folder.path().join("token"), None).unwrap();
    let socket = folder.path().join("socket");
    let _server = Server::bind(&socket, opened.token)
        .unwrap()
        .spawn()
        .unwrap();
    assert_eq!(token.sign(Key::Log, b"message"), before);
}

#[test]
fn nothing_is_done_before_the_right_pin() {
    let bench = bench();
    let mut stream = UnixStream::connect(bench.server.socket()).unwrap();
    let mac = || v1::Mac {
        key: "fingerprint".to_owned(),
        data: b"data".to_vec(),
    };
    let login = |pin: &[u8]| Command::Login(v1::Login { pin: pin.to_vec() });
    let mut code = |command| match ask(&mut stream, command) {
        Some(Outcome::Failure(failure)) => Some(failure.code()),
        Some(_) => None,
        None => panic!("hung up"),
    };
    let pin = std::fs::read(bench.folder.path().join("token.pin")).unwrap();
    assert_eq!(code(Command::Mac(mac())), Some(v1::Code::NotLoggedIn));
    assert_eq!(code(login(b"wrong PIN")), Some(v1::Code::WrongPin));
    assert_eq!(code(login(b"")), Some(v1::Code::WrongPin));
    assert_eq!(code(Command::Mac(mac())), Some(v1::Code::NotLoggedIn));
    assert_eq!(code(login(&pin)), None);
    assert_eq!(code(Command::Mac(mac())), None);
    // A wrong one afterwards ends the session's rights.
    assert_eq!(code(login(b"wrong PIN")), Some(v1::Code::WrongPin));
    assert_eq!(code(Command::Mac(mac())), Some(v1::Code::NotLoggedIn));

    let wrong = RemoteToken::new(
        connector(bench.server.socket(), WITHIN),
        Pin::parse(b"wrong PIN").unwrap(),
    );
    assert_eq!(wrong.describe(), Err(HsmError::WrongPin));
}

#[test]
fn a_request_that_makes_no_sense_is_refused_or_cut_off() {
    let bench = bench();
    let pin = std::fs::read(bench.folder.path().join("token.pin")).unwrap();
    let mut stream = UnixStream::connect(bench.server.socket()).unwrap();
    assert!(ask(&mut stream, Command::Login(v1::Login { pin })).is_some());
    let mut code = |command| match ask(&mut stream, command) {
        Some(Outcome::Failure(failure)) => failure.code(),
        _ => panic!("not refused"),
    };
    let key = || "../log".to_owned();
    assert_eq!(
        code(Command::PublicKey(v1::PublicKey { key: key() })),
        v1::Code::NoSuchKey
    );
    assert_eq!(
        code(Command::MakeKey(v1::MakeKey { key: key() })),
        v1::Code::NoSuchKey
    );
    assert_eq!(
        code(Command::Random(v1::Random { length: 0 })),
        v1::Code::Refused
    );
    assert_eq!(
        code(Command::Random(v1::Random { length: u32::MAX })),
        v1::Code::Refused
    );
    assert_eq!(
        code(Command::Fault(v1::Fault {
            name: "all".to_owned()
        })),
        v1::Code::Refused
    );

    for hostile in [
        &b"\xff\xff\xff\xff"[..],
        b"\0\0\0\0",
        b"\0\0\0\x01\xff",
        b"GET / HTTP/1.1\r\n",
    ] {
        let mut stream = UnixStream::connect(bench.server.socket()).unwrap();
        stream.set_read_timeout(Some(WITHIN)).unwrap();
        stream.write_all(hostile).unwrap();
        let mut rest = Vec::new();
        // The end, or a reset where bytes were left unread; never an answer.
        match stream.read_to_end(&mut rest) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
        }
        assert!(rest.is_empty());
    }
    bench.token.describe().unwrap();
}
