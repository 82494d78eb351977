-- The roles of a database that deliveries go to. A superuser runs it once in that database; running it again changes
-- nothing. People and programs are logins in one of the roles:
--     CREATE ROLE platform LOGIN PASSWORD '...' IN ROLE delivery_writer;
--     ALTER ROLE platform SET role = delivery_writer;    -- what it makes belongs to the role
--     CREATE ROLE dashboard LOGIN PASSWORD '...' IN ROLE warehouse_reader;
-- In defs.yaml: options: {schema: warehouse, reader: warehouse_reader}

DO $roles$
DECLARE
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['delivery_writer', 'warehouse_reader'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
        END IF;
    END LOOP;
    -- Everybody may connect to a new database and make temporary tables in it, unless this is taken away.
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format('GRANT CONNECT, TEMPORARY ON DATABASE %I TO delivery_writer', current_database());
    -- A delivery says CREATE SCHEMA IF NOT EXISTS, for which PostgreSQL wants this also where the schema is there.
    EXECUTE format('GRANT CREATE ON DATABASE %I TO delivery_writer', current_database());
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO warehouse_reader', current_database());
END
$roles$;

REVOKE ALL ON SCHEMA public FROM PUBLIC;
CREATE SCHEMA IF NOT EXISTS warehouse AUTHORIZATION delivery_writer;
GRANT USAGE ON SCHEMA warehouse TO warehouse_reader;
