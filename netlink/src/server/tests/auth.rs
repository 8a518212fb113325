use super::*;
use crate::message::*;

#[tokio::test]
async fn a_stranger_may_look_and_use_but_not_change() {
    let server = server();
    let client = Client::over(server.memory_as(peer(stranger()))).await.unwrap();
    assert_eq!(client.server_info().await.unwrap().role, Class::Use);
    client.snapshot().await.unwrap();
    client.subscribe(Filter::all(), None).await.unwrap();
    let session = SessionNew { algorithm: "sha256".to_owned(), ..SessionNew::default() };
    client.session_new(session).await.unwrap();
    let load = LoadSpec { algorithm: "null".to_owned(), clients: 1, ..LoadSpec::default() };
    let refusals = [
        errno(client.device_add("x", "null", &[]).await),
        errno(client.device_break("soft0", None).await),
        errno(client.device_repair("soft0").await),
        errno(client.device_remove("soft0", None).await),
        errno(client.balancer_set("round_robin_lb", None).await),
        errno(client.balancer_unregister("round_robin_lb").await),
        errno(client.load_start(load).await),
        errno(client.load_stop(None).await),
    ];
    assert_eq!(refusals, [EPERM; 8]);
    let error = client.device_break("soft0", None).await.unwrap_err();
    let uid = stranger();
    assert_eq!(
        error.to_string(),
        format!(
            "'device-break' needs class admin: root, the server's user or its admin group, not uid {uid}"
        )
    );
    assert_eq!(server.runtime().device("soft0").unwrap().state, acrypto_core::DeviceState::Up);
}

#[tokio::test]
async fn members_of_the_admin_group_are_admins() {
    let server = server_with(ServerOptions { admin_gid: Some(4242), ..ServerOptions::default() });
    let member = Peer { groups: vec![100, 4242], ..peer(stranger()) };
    let client = Client::over(server.memory_as(member)).await.unwrap();
    client.balancer_set("round_robin_lb", None).await.unwrap();
    let other = Peer { groups: vec![100], ..peer(stranger()) };
    let client = Client::over(server.memory_as(other)).await.unwrap();
    assert_eq!(errno(client.balancer_set("simple_lb", None).await), EPERM);
}

#[test]
fn the_sender_of_the_message_counts_as_well_as_the_peer_of_the_connection() {
    let server = server_with(ServerOptions { admin_gid: Some(4242), ..ServerOptions::default() });
    let shared = &server.shared;
    let (root, user, other) = (peer(0), peer(stranger()), peer(stranger() + 1));
    let member = Peer { groups: vec![4242], ..user.clone() };
    let class = |peer: &Peer, sender: &Peer| shared.class_of(peer, Some(sender.credentials));
    assert_eq!(class(&root, &root), Class::Admin);
    assert_eq!(class(&root, &user), Class::Read);
    assert_eq!(class(&user, &root), Class::Use);
    assert_eq!(class(&user, &user), Class::Use);
    assert_eq!(class(&user, &other), Class::Read);
    assert_eq!(class(&member, &member), Class::Admin);
    assert_eq!(class(&member, &other), Class::Read);
    assert_eq!(shared.class_of(&root, None), Class::Read);
}

#[tokio::test]
async fn i7_a_connection_too_many_is_told_so() {
    let limits = super::super::Limits { connections_per_uid_max: 1, ..Default::default() };
    let server = server_with(ServerOptions { limits, ..ServerOptions::default() });
    let first = Client::over(server.memory_as(peer(stranger()))).await.unwrap();
    let error = Client::over(server.memory_as(peer(stranger()))).await.unwrap_err();
    assert_eq!(error.to_string(), "limit of 1 connections reached");
    assert_eq!(errno::<()>(Err(error)), ENOBUFS);
    first.ping().await.unwrap();
    Client::over(server.memory()).await.unwrap();
}
