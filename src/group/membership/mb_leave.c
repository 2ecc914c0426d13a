#include "group/membership/mb_leave.h"

nx_rankset nx_leave_awaits(const struct nx_leave_facts *facts)
{
    nx_rankset stay = facts->shard & facts->alive & ~facts->parting & ~NX_RANK_BIT(facts->self);
    nx_rankset needy = stay & ~facts->with_state;
    nx_rankset heirs = stay & facts->with_state & facts->aware;
    bool has_state = (facts->with_state & NX_RANK_BIT(facts->self)) != 0;
    return has_state && !heirs ? needy : 0;
}
