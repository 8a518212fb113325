use acrypto_core::{Algorithm, Key, Request, SessionSpec};
use zeroize::Zeroizing;

use super::*;
use crate::message::*;

fn new_session(algorithm: &str, key_len: usize) -> SessionNew {
    SessionNew {
        algorithm: algorithm.to_owned(),
        keys: vec![Zeroizing::new(vec![7; key_len])],
        ..SessionNew::default()
    }
}

#[tokio::test]
async fn an_operation_through_the_server_equals_the_local_one() {
    let (server, client) = connected().await;
    let key = Key::new(vec![7; 32]);
    let local = server.runtime().session(SessionSpec::new(Algorithm::Aes256Ctr), key).unwrap();
    let expect = local.call(Request::encrypt(vec![9; 1000], [3; 16])).unwrap().data;

    let session = client.session_new(new_session("aes-256-ctr", 32)).await.unwrap();
    let op =
        OpSubmit { session, kind: OpKind::Encrypt, data: vec![9; 1000], iv: vec![3; 16], aad: Vec::new() };
    let reply = client.op_submit(op).await.unwrap();
    assert_eq!(reply.data, expect);
    assert_eq!((reply.device.as_str(), reply.attempts), ("soft0", 1));

    let digests = client.session_new(new_session("sha256", 0)).await.unwrap();
    let op =
        OpSubmit { session: digests, kind: OpKind::Digest, data: b"abc".to_vec(), ..OpSubmit::default() };
    let reply = client.op_submit(op).await.unwrap();
    assert_eq!(reply.output[..4], [0xba, 0x78, 0x16, 0xbf]);
    assert!(reply.data.is_empty());
}

#[tokio::test]
async fn a_flipped_bit_is_decryption_failed_and_nothing_else() {
    let (_server, client) = connected().await;
    let session = client.session_new(new_session("aes-128-gcm", 16)).await.unwrap();
    let op = OpSubmit {
        session,
        kind: OpKind::Encrypt,
        data: vec![1; 32 * 1024],
        iv: vec![2; 12],
        aad: b"header".to_vec(),
    };
    let sealed = client.op_submit(op.clone()).await.unwrap().data;
    assert_eq!(sealed.len(), 32 * 1024 + 16);
    let open = OpSubmit { kind: OpKind::Decrypt, data: sealed, ..op.clone() };
    assert_eq!(client.op_submit(open.clone()).await.unwrap().data, op.data);
    let mut forged = open;
    forged.data[100] ^= 1;
    let error = client.op_submit(forged).await.unwrap_err();
    assert_eq!(error.to_string(), "decryption failed");
    assert_eq!(errno::<()>(Err(error)), EBADMSG);
}

#[tokio::test]
async fn many_operations_are_under_way_at_once() {
    let (_server, client) = connected().await;
    let session = client.session_new(new_session("aes-128-ctr", 16)).await.unwrap();
    let op =
        OpSubmit { session, kind: OpKind::Encrypt, data: vec![0; 4096], iv: vec![0; 16], aad: Vec::new() };
    let expect = client.op_submit(op.clone()).await.unwrap().data;
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..200 {
        let (client, op) = (client.clone(), op.clone());
        running.spawn(async move { client.op_submit(op).await.unwrap().data });
    }
    while let Some(data) = running.join_next().await {
        assert_eq!(data.unwrap(), expect);
    }
    let shown = client.sessions(10).await.unwrap();
    assert_eq!((shown[0].id, shown[0].submitted_ops, shown[0].completed_ops), (session, 201, 201));
}

#[tokio::test]
async fn a_stream_equals_one_operation() {
    let (_server, client) = connected().await;
    let session = SessionNew { padding: true, ..new_session("aes-128-cbc", 16) };
    let session = client.session_new(session).await.unwrap();
    let data: Vec<u8> = (0..32_000u32).map(|byte| byte as u8).collect();
    let whole =
        OpSubmit { session, kind: OpKind::Encrypt, data: data.clone(), iv: vec![5; 16], aad: Vec::new() };
    let whole = client.op_submit(whole).await.unwrap().data;

    let stream = client.stream_start(session, OpKind::Encrypt, &[5; 16]).await.unwrap();
    let mut out = client.stream_next(stream, &data[..16_000]).await.unwrap();
    out.extend(client.stream_finish(stream, &data[16_000..]).await.unwrap().0);
    assert_eq!(out, whole);
    assert_eq!(errno(client.stream_next(stream, &[]).await), ENOENT);

    let stream = client.stream_start(session, OpKind::Decrypt, &[5; 16]).await.unwrap();
    let mut back = client.stream_next(stream, &whole[..16_000]).await.unwrap();
    back.extend(client.stream_finish(stream, &whole[16_000..]).await.unwrap().0);
    assert_eq!(back, data);

    let hash = client.session_new(new_session("sha256", 0)).await.unwrap();
    let stream = client.stream_start(hash, OpKind::Digest, &[]).await.unwrap();
    client.stream_next(stream, &[0x61; 64]).await.unwrap();
    let (_, digest) = client.stream_finish(stream, b"").await.unwrap();
    assert_eq!(digest.len(), 32);
}

#[tokio::test]
async fn what_does_not_fit_is_refused_by_name() {
    let (_server, client) = connected().await;
    let error = client.session_new(new_session("aes-512-cbc", 64)).await.unwrap_err();
    let expect = Error::Refused {
        errno: EINVAL,
        message: "unknown algorithm 'aes-512-cbc'".to_owned(),
        attribute: Some("algorithm".to_owned()),
    };
    assert_eq!(error, expect);
    let error = client.session_new(new_session("aes-128-cbc", 17)).await.unwrap_err();
    assert_eq!(error.to_string(), "aes-128-cbc needs a key of 16 bytes, got 17");
    assert_eq!(errno(client.session_new(new_session("aes-128-ecb", 16)).await), EINVAL);

    let session = client.session_new(new_session("aes-128-cbc", 16)).await.unwrap();
    let op = OpSubmit { session, kind: OpKind::Encrypt, data: vec![0; 15], iv: vec![0; 16], aad: Vec::new() };
    assert_eq!(errno(client.op_submit(op.clone()).await), EINVAL);
    let short_iv = OpSubmit { iv: vec![0; 15], data: vec![0; 16], ..op.clone() };
    let error = client.op_submit(short_iv).await.unwrap_err();
    assert_eq!(error.to_string(), "aes-128-cbc needs an iv of 16 bytes, got 15");
    assert_eq!(errno(client.op_submit(OpSubmit { kind: OpKind::Mac, ..op.clone() }).await), EOPNOTSUPP);
    assert_eq!(errno(client.op_submit(OpSubmit { session: 999, ..op.clone() }).await), ENOENT);
    let large = OpSubmit { data: vec![0; 32 * 1024 + 1], ..op };
    let error = client.op_submit(large).await.unwrap_err();
    assert_eq!(error, Error::TooLarge { name: "data".to_owned(), got: 32 * 1024 + 1, limit: 32 * 1024 });
}

#[tokio::test]
async fn a_session_ends_with_its_connection_unless_it_is_persistent() {
    let server = server();
    let client = Client::over(server.memory()).await.unwrap();
    let mortal = client.session_new(new_session("sha256", 0)).await.unwrap();
    let persistent = SessionNew { persistent: true, ..new_session("sha256", 0) };
    let persistent = client.session_new(persistent).await.unwrap();
    drop(client);
    let client = Client::over(server.memory()).await.unwrap();
    while client.sessions(10).await.unwrap().iter().any(|session| session.id == mortal) {
        tokio::task::yield_now().await;
    }
    let op =
        |session| OpSubmit { session, kind: OpKind::Digest, data: b"abc".to_vec(), ..OpSubmit::default() };
    assert!(client.op_submit(op(persistent)).await.is_ok());
    assert_eq!(errno(client.op_submit(op(mortal)).await), ENOENT);
    client.session_free(persistent).await.unwrap();
    assert!(client.sessions(10).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_session_belongs_to_its_user() {
    let server = server();
    let owner = Client::over(server.memory_as(peer(stranger()))).await.unwrap();
    let other = Client::over(server.memory_as(peer(stranger() + 1))).await.unwrap();
    let admin = Client::over(server.memory()).await.unwrap();
    let id = owner.session_new(new_session("sha256", 0)).await.unwrap();
    let op = OpSubmit { session: id, kind: OpKind::Digest, data: Vec::new(), ..OpSubmit::default() };
    assert_eq!(errno(other.op_submit(op.clone()).await), EPERM);
    assert_eq!(errno(other.session_free(id).await), EPERM);
    assert_eq!(errno(other.stream_start(id, OpKind::Digest, &[]).await), EPERM);
    assert_eq!(errno(admin.op_submit(op).await), EPERM);
    assert_eq!(other.sessions(10).await.unwrap()[0].uid, stranger());
    admin.session_free(id).await.unwrap();
    assert_eq!(errno(owner.session_free(id).await), ENOENT);
}

#[tokio::test]
async fn i7_sessions_of_a_user_have_a_limit() {
    let options = ServerOptions {
        limits: super::super::Limits { sessions_per_uid_max: 2, ..Default::default() },
        ..ServerOptions::default()
    };
    let server = server_with(options);
    let client = Client::over(server.memory()).await.unwrap();
    let first = client.session_new(new_session("sha256", 0)).await.unwrap();
    client.session_new(new_session("sha256", 0)).await.unwrap();
    assert_eq!(errno(client.session_new(new_session("sha256", 0)).await), ENOBUFS);
    client.session_free(first).await.unwrap();
    client.session_new(new_session("sha256", 0)).await.unwrap();
}
