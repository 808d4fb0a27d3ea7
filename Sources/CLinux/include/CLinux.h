void placeholder(void);
