//! Clients over NETLINK_USERSOCK; each test has a port of its own.

use super::*;
use crate::Address;
use crate::message::*;

#[tokio::test]
async fn a_client_is_served_over_a_netlink_socket() {
    const PORT: u32 = 0x4180_0100;
    let server = server();
    let serving = tokio::spawn(server.listen_netlink(PORT, Class::Admin).unwrap().serve());
    let address = Address::Netlink(PORT);
    let client = Client::connect(&address).await.unwrap();
    let info = client.server_info().await.unwrap();
    assert_eq!((info.role, info.listen), (Class::Admin, vec![format!("{address},rw")]));
    let mut monitor = client.subscribe(Filter::all(), None).await.unwrap();
    client.device_add("null0", "null", &[]).await.unwrap();
    assert!(matches!(monitor.next().await, Ok(crate::Feed::Event(event)) if event.name == "null0"));
    let session = SessionNew { algorithm: "null".to_owned(), ..SessionNew::default() };
    let session = client.session_new(session).await.unwrap();
    let data = vec![5; 32 * 1024];
    let op = OpSubmit { session, kind: OpKind::Encrypt, data: data.clone(), ..OpSubmit::default() };
    assert_eq!(client.op_submit(op).await.unwrap().data, data);
    let two = Client::connect(&address).await.unwrap();
    assert_eq!(two.devices().await.unwrap().len(), 2);

    server.shutdown().await;
    serving.await.unwrap();
    client.closed().await;
    let error = Client::connect(&address).await.unwrap_err();
    assert!(matches!(error, Error::NoServer { .. }), "{error}");
}

#[tokio::test]
async fn nobody_changes_anything_unless_the_socket_was_opened_for_it() {
    const PORT: u32 = 0x4180_0101;
    let server = server();
    tokio::spawn(server.listen_netlink(PORT, Class::Read).unwrap().serve());
    let client = Client::connect(&Address::Netlink(PORT)).await.unwrap();
    assert_eq!(client.server_info().await.unwrap().role, Class::Read);
    assert_eq!(client.devices().await.unwrap().len(), 1);
    assert_eq!(errno(client.device_add("null0", "null", &[]).await), EPERM);
    assert_eq!(errno(client.subscribe(Filter::all(), None).await), EPERM);
    assert_eq!(server.runtime().devices().len(), 1);
}

#[tokio::test]
async fn a_port_that_is_taken_is_refused_with_its_holder() {
    const PORT: u32 = 0x4180_0102;
    let listener = server().listen_netlink(PORT, Class::Read).unwrap();
    let error = server().listen_netlink(PORT, Class::Read).unwrap_err();
    let address = Address::Netlink(PORT).to_string();
    assert_eq!(error, Error::AddressTaken { address, pid: std::process::id() });
    drop(listener);
    server().listen_netlink(PORT, Class::Read).unwrap();
}

#[tokio::test]
async fn what_a_client_held_ends_with_its_port() {
    const PORT: u32 = 0x4180_0103;
    let server = server();
    tokio::spawn(server.listen_netlink(PORT, Class::Admin).unwrap().serve());
    let client = Client::connect(&Address::Netlink(PORT)).await.unwrap();
    let mut events = server.runtime().events().subscribe(None);
    let session = SessionNew { algorithm: "null".to_owned(), ..SessionNew::default() };
    server.runtime().add_device_of_kind("null0", "null", &[], 0).unwrap();
    client.session_new(session).await.unwrap();
    assert_eq!(server.runtime().sessions().len(), 1);
    drop(client);
    while !server.runtime().sessions().is_empty() {
        events.next().await;
    }
}
