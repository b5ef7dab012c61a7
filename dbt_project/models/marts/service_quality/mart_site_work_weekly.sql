{{ site_work('week') }}
