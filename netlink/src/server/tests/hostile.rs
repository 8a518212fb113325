//! Bytes made to hurt: whatever comes, the connection is answered or closed, and others are served.

use proptest::prelude::*;

use super::*;
use crate::attr::Writer;
use crate::conn::seal;
use crate::family::{COMMANDS, Shape, control};
use crate::frame::{FLAG_ACK, FLAG_DUMP, FLAG_REQUEST, Header};

/// A valid request of every command, filled with something of the right shape.
fn requests() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for spec in COMMANDS {
        for (form, flags) in [(spec.form_do, FLAG_ACK), (spec.form_dump, FLAG_DUMP)] {
            let Some(form) = form else { continue };
            let mut body = Writer::new();
            for number in form.request {
                match spec.set.find(*number).map(|attribute| attribute.shape) {
                    Some(Shape::Flag) => body.flag(*number, true),
                    Some(Shape::U16) => body.u16(*number, 1),
                    Some(Shape::U32) => body.u32(*number, 1),
                    Some(Shape::U64) => body.u64(*number, 1),
                    Some(Shape::String(_)) => body.string(*number, "soft0"),
                    Some(Shape::Binary(_)) => body.bytes(*number, &[1; 16]),
                    Some(Shape::Secret(_)) => body.secret(*number, &[1; 16]),
                    Some(Shape::U64Array(_)) => body.u64s(*number, &[1]),
                    Some(Shape::Nest(_)) => body.nest(*number, |nest| {
                        nest.u32(1, 1);
                    }),
                    None => &mut body,
                };
            }
            let header = Header { len: 0, kind: 0x20, flags: FLAG_REQUEST | flags, seq: 1, port: 0 };
            all.push(seal(body, header, spec.command as u8).unwrap().to_vec());
        }
    }
    let header = Header { len: 0, kind: control::ID, flags: FLAG_REQUEST | FLAG_DUMP, seq: 1, port: 0 };
    for command in [control::GET_FAMILY, control::GET_POLICY] {
        let mut body = Writer::new();
        body.string(control::ctrl::FAMILY_NAME, "acrypto");
        all.push(seal(body, header, command).unwrap().to_vec());
    }
    all
}

/// Sends `bytes`; then either a ping on the same connection is answered, or the connection is closed.
async fn survive(server: &Server, bytes: &[u8]) {
    let raw = server.memory_as(peer(stranger()));
    raw.send(bytes).await.unwrap();
    let header = Header { len: 0, kind: 0x20, flags: FLAG_REQUEST | FLAG_ACK, seq: 0xfeed, port: 0 };
    let ping = seal(Writer::new(), header, crate::family::Command::ServerPing as u8).unwrap();
    if raw.send(&ping).await.is_err() {
        return;
    }
    while let Some(answer) = raw.receive().await {
        if Header::read(&answer).is_some_and(|header| header.seq == 0xfeed) {
            return;
        }
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

#[test]
fn every_prefix_of_every_request_is_survived() {
    let server = server();
    block_on(async {
        for request in requests() {
            for len in 0..request.len() {
                survive(&server, &request[..len]).await;
            }
        }
        let client = Client::over(server.memory()).await.unwrap();
        client.snapshot().await.unwrap();
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn mutated_requests_are_answered_or_the_connection_is_closed(
        which in any::<prop::sample::Index>(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        tail in prop::collection::vec(any::<u8>(), 0..8),
    ) {
        static SERVER: std::sync::OnceLock<Server> = std::sync::OnceLock::new();
        let server = SERVER.get_or_init(server);
        let mut request = which.get(&requests()).clone();
        for (place, value) in flips {
            let place = place.index(request.len());
            request[place] = value;
        }
        request.extend(tail);
        block_on(async {
            let other = Client::over(server.memory()).await.unwrap();
            survive(server, &request).await;
            other.ping().await.unwrap();
        });
    }

    #[test]
    fn noise_is_answered_or_the_connection_is_closed(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        static SERVER: std::sync::OnceLock<Server> = std::sync::OnceLock::new();
        let server = SERVER.get_or_init(server);
        block_on(survive(server, &bytes));
    }
}
