-- Whether an update has ever committed, as far back as guards are kept.
SELECT EXISTS (SELECT FROM guards)
