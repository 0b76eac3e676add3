-- Makes Grafana's role: it may read the staff views and no table. Run it as the owner of the schema, after `ergon-server migrate`,
-- and again after each upgrade that adds views:
--   psql -X -v ON_ERROR_STOP=1 -d ergon -f role.sql
-- Then give it a password; psql asks for it and sends only its hash:
--   psql -X -d ergon -c '\password ergon_grafana'
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'ergon_grafana') THEN
        CREATE ROLE ergon_grafana LOGIN;
    END IF;
END
$$;
ALTER ROLE ergon_grafana NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS CONNECTION LIMIT 10;

-- Against accidents: a session may change both for itself. What holds in any case are the grants below.
ALTER ROLE ergon_grafana SET default_transaction_read_only = on;
ALTER ROLE ergon_grafana SET statement_timeout = '30s';

GRANT SELECT ON staff_jobs, staff_attempts, staff_agents TO ergon_grafana;
