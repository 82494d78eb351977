SELECT * FROM read_csv('{{ env_var("DATA_DIR") }}/landing/sales/*.csv', header = true, all_varchar = true, filename = true)
