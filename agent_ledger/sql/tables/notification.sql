create table notification (
  -- Who is to be told of which event, and how far that has come. The state of a delivery and no fact, so rows change.
  -- Neither addresses nor passwords are kept here.
  event_id integer not null references control_event (id),
  notifier text not null check (notifier <> ''),  -- slack, webhook, …
  attempts integer not null default 0 check (attempts >= 0),
  due_at text  -- not tried before this moment; NULL: never again
    check (due_at is strftime('%Y-%m-%dT%H:%M:%fZ', due_at, '+0 days')),
  delivered_at text  -- NULL: not yet
    check (delivered_at is strftime('%Y-%m-%dT%H:%M:%fZ', delivered_at, '+0 days')),
  error text,  -- why the last attempt failed
  primary key (event_id, notifier),
  check (delivered_at is null or due_at is null)
) strict, without rowid;

create index notification_due_at on notification (due_at) where due_at is not null;
