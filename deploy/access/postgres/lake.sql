-- The roles of a database that holds a lake's catalog. A superuser runs it once in that database, before the lake is
-- made; running it again changes nothing. People and programs are logins in one of the roles:
--     CREATE ROLE platform LOGIN PASSWORD '...' IN ROLE lake_writer;
--     ALTER ROLE platform SET role = lake_writer;    -- what it makes belongs to the role, so readers see it
--     CREATE ROLE analyst LOGIN PASSWORD '...' IN ROLE lake_reader;

DO $roles$
DECLARE
    wanted text;
    lock_function regprocedure;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['lake_writer', 'lake_reader'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
        END IF;
        EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), wanted);
    END LOOP;
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    -- Writers wait for each other by an advisory lock. A reader who takes it would stop all loads.
    FOR lock_function IN SELECT oid::regprocedure FROM pg_proc WHERE proname LIKE 'pg\_%advisory%' LOOP
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', lock_function);
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO lake_writer', lock_function);
    END LOOP;
END
$roles$;

REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA public TO lake_writer;
GRANT USAGE ON SCHEMA public TO lake_reader;
-- The catalog's tables, also those that the lake makes later.
ALTER DEFAULT PRIVILEGES FOR ROLE lake_writer IN SCHEMA public GRANT SELECT ON TABLES TO lake_reader;
