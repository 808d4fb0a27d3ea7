long tg_malloc_count(void);
