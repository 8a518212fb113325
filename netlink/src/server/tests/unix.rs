use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::PathBuf;

use super::*;
use crate::Address;
use crate::message::*;

struct Place {
    _directory: tempfile::TempDir,
    path: PathBuf,
}

fn place() -> Place {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("acrypto").join("control.sock");
    Place { _directory: directory, path }
}

#[tokio::test]
async fn a_client_is_served_over_a_unix_socket() {
    let place = place();
    let server = server();
    let listener = server.listen_unix(&place.path).unwrap();
    let is_root = Credentials::own().uid == 0;
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&place.path), if is_root { 0o666 } else { 0o600 });
    assert_eq!(mode(place.path.parent().unwrap()), if is_root { 0o755 } else { 0o700 });

    let serving = tokio::spawn(listener.serve());
    let address = Address::Unix(place.path.clone());
    let client = Client::connect(&address).await.unwrap();
    let info = client.server_info().await.unwrap();
    assert_eq!((info.role, info.listen), (Class::Admin, vec![address.to_string()]));
    let mut monitor = client.subscribe(Filter::all(), None).await.unwrap();
    client.device_add("null0", "null", &[]).await.unwrap();
    assert!(matches!(monitor.next().await, Ok(crate::Feed::Event(event)) if event.name == "null0"));
    let session = SessionNew { algorithm: "null".to_owned(), ..SessionNew::default() };
    let session = client.session_new(session).await.unwrap();
    let data = vec![5; 32 * 1024];
    let op = OpSubmit { session, kind: OpKind::Encrypt, data: data.clone(), ..OpSubmit::default() };
    assert_eq!(client.op_submit(op).await.unwrap().data, data);

    server.shutdown().await;
    serving.await.unwrap();
    client.closed().await;
    assert!(!place.path.exists());
    let error = Client::connect(&address).await.unwrap_err();
    assert!(matches!(error, Error::NoServer { .. }), "{error}");
}

#[tokio::test]
async fn a_second_server_is_refused_and_told_who_is_first() {
    let place = place();
    let first = server();
    let listener = first.listen_unix(&place.path).unwrap();
    let error = server().listen_unix(&place.path).unwrap_err();
    let address = format!("unix:{}", place.path.display());
    assert_eq!(error, Error::AddressTaken { address, pid: std::process::id() });
    assert!(place.path.exists());
    drop(listener);
    assert!(!place.path.exists());
    server().listen_unix(&place.path).unwrap();
}

#[tokio::test]
async fn a_stale_socket_is_replaced_and_anything_else_is_not() {
    let place = place();
    std::fs::create_dir_all(place.path.parent().unwrap()).unwrap();
    drop(std::os::unix::net::UnixListener::bind(&place.path).unwrap());
    assert!(std::fs::metadata(&place.path).unwrap().file_type().is_socket());
    let server = server();
    let listener = server.listen_unix(&place.path).unwrap();
    let serving = tokio::spawn(listener.serve());
    Client::connect(&Address::Unix(place.path.clone())).await.unwrap();
    server.shutdown().await;
    serving.await.unwrap();

    std::fs::write(&place.path, "precious").unwrap();
    let error = server.listen_unix(&place.path).unwrap_err();
    assert!(matches!(&error, Error::Listen { reason, .. } if reason.contains("no socket")), "{error}");
    assert_eq!(std::fs::read(&place.path).unwrap(), b"precious");
}

#[tokio::test]
async fn a_client_notices_at_once_that_its_server_is_gone() {
    let place = place();
    let server = server();
    let serving = tokio::spawn(server.listen_unix(&place.path).unwrap().serve());
    let client = Client::connect(&Address::Unix(place.path.clone())).await.unwrap();
    let mut monitor = client.subscribe(Filter::all(), None).await.unwrap();
    server.shutdown().await;
    serving.await.unwrap();
    client.closed().await;
    assert_eq!(monitor.next().await, Err(Error::Closed { sent_change: false }));
}
