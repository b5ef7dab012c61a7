{{ site_work('day') }}
